//! How a node comes to its Redis, and which one it refuses.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::above::Above;
use super::script::Scripts;
use super::server::Server;
use super::servers::Servers;
use super::shard::{Shard, face_tag, tag};
use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;

impl Store {
    /// Connects and checks that Redis keeps what it acknowledges.
    ///
    /// # Errors
    /// A URL that is none, a Redis that does not answer, or one whose `maxmemory-policy` may evict scores.
    pub async fn connect(config: &config::Store, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let store = Self::new(config, metrics)?;
        store.find_servers().await?;
        for server in store.distinct_servers() {
            refuse_eviction(&server).await?;
        }
        Ok(store)
    }

    /// One that has not asked Redis for anything yet.
    ///
    /// # Errors
    /// A URL that is none.
    pub(super) fn new(config: &config::Store, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let (servers, first) = Servers::new(config)?;
        let shards = config.shards as usize;
        let shard = |number| Shard::new(number, tag(number, shards), first.clone());
        let face = (shards > 1).then(|| Shard::new(shards, face_tag(shards), first.clone()));
        Ok(Self {
            shards: (0..shards).map(shard).collect(),
            face,
            above: Above::default(),
            servers,
            scripts: Scripts::new(),
            metrics,
            wait_replicas: config.wait_replicas,
            timeout: Duration::from_millis(config.timeout_ms),
        })
    }
}

/// Contract, section 8: an evicting Redis would lose scores without a word. One that writes nothing to disk loses
/// acknowledged awards when it ends, which is said, since a replica may keep them.
async fn refuse_eviction(server: &Server) -> Result<(), Fault> {
    let doing = "check maxmemory-policy";
    server.ask_here::<redis::Value>("connect to Redis", &redis::cmd("PING")).await?;
    let info: redis::InfoDict = server.ask_here(doing, &redis::cmd("INFO")).await?;
    if info.get::<u8>("aof_enabled") == Some(0) {
        tracing::warn!("Redis has appendonly no: what it acknowledged is lost when it ends");
    }
    if info.get::<u8>("arch_bits") == Some(32) {
        return Err(Fault::new(
            doing,
            "Redis is a 32-bit one, whose scripts cannot write out a score or a time",
        ));
    }
    match info.get::<String>("maxmemory_policy") {
        Some(policy) if policy != "noeviction" => Err(Fault::new(
            doing,
            format!("Redis has maxmemory-policy {policy}, which may drop scores; set it to noeviction"),
        )),
        _ => Ok(()),
    }
}
