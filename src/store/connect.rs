//! How a node comes to its Redis, and which one it refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use deadpool_redis::Pool;
use redis::aio::ConnectionManagerConfig;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, IntoConnectionInfo};

use super::line::Line;
use super::replicas::Replicas;
use super::script::Scripts;
use super::silence::Silence;
use super::{Store, fault, outbox};
use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;

impl Store {
    /// Connects and checks that Redis keeps what it acknowledges.
    ///
    /// # Errors
    /// A URL that is none, a Redis that does not answer, or one whose `maxmemory-policy` may evict scores.
    pub async fn connect(config: &config::Store, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let info = connection_info(config).map_err(|error| Fault::new("read store.redis_url", error))?;
        let client =
            redis::Client::open(info.clone()).map_err(|error| Fault::new("read store.redis_url", error))?;
        let settings = ConnectionManagerConfig::new()
            .set_pipeline_buffer_size(1024)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let mut lines = Vec::new();
        for _ in 0..config.connections {
            let line = Line::connect(&client, &settings).await;
            lines.push(line.map_err(|error| Fault::away("connect to Redis", error))?);
        }
        let manager = deadpool_redis::Manager::new_with_config(
            info,
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(outbox::HANGS_AFTER)),
        )
        .map_err(|error| Fault::new("read store.redis_url", error))?;
        let blocking = Pool::builder(manager)
            .max_size(2)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| Fault::new("build the pool for blocking reads", error))?;
        let store = Self {
            lines,
            turn: AtomicUsize::new(0),
            silence: Silence::default(),
            replicas: Replicas::new(config),
            client,
            blocking,
            scripts: Scripts::new(),
            epoch: AtomicI64::new(0),
            metrics,
            timeout,
        };
        store.refuse_eviction().await?;
        Ok(store)
    }

    /// Contract, section 8: an evicting Redis would lose scores without a word. One that writes nothing to disk loses
    /// acknowledged awards when it ends, which is said, since a replica may keep them.
    async fn refuse_eviction(&self) -> Result<(), Fault> {
        let doing = "check maxmemory-policy";
        let info: redis::InfoDict =
            redis::cmd("INFO").query_async(&mut self.command()).await.map_err(|error| fault(doing, error))?;
        if info.get::<u8>("aof_enabled") == Some(0) {
            tracing::warn!("Redis has appendonly no: what it acknowledged is lost when it ends");
        }
        match info.get::<String>("maxmemory_policy") {
            Some(policy) if policy != "noeviction" => Err(Fault::new(
                doing,
                format!("Redis has maxmemory-policy {policy}, which may drop scores; set it to noeviction"),
            )),
            _ => Ok(()),
        }
    }
}

/// Commands go out at once, and a host that vanished is noticed.
fn connection_info(config: &config::Store) -> redis::RedisResult<redis::ConnectionInfo> {
    let timeout = Duration::from_millis(config.timeout_ms);
    let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(timeout * 2);
    Ok(config.redis_url.expose().into_connection_info()?.set_tcp_settings(tcp))
}
