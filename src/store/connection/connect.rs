//! Connecting to Redis, and checks that it is suitable and accepts writes.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};

use super::redis_error::{advice, error_text, fault};
use super::server::{CallError, Request, Server};
use super::topology::Topology;
use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::board::rank::RankBatcher;
use crate::store::keys::Keys;
use crate::store::shard::{Shard, merged_tag, tag};

impl Store {
    /// Connects and checks that Redis does not evict data.
    ///
    /// # Errors
    /// The URL is invalid, Redis does not answer, or its `maxmemory-policy` may evict scores.
    pub async fn connect(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let store = Self::new(config, metrics)?;
        store.refresh_topology().await?;
        for server in store.distinct_servers() {
            server.log_in().await.map_err(|text| unusable(&server, &text))?;
            store.refuse_unsuitable(&server).await?;
        }
        Ok(store)
    }

    /// A store that connects on the first command.
    ///
    /// # Errors
    /// The URL is invalid.
    pub(in crate::store) fn new(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let (topology, first) = Topology::new(config)?;
        let shards = config.shards as usize;
        let shard = |number| Shard::new(number, Keys::of_shard(tag(number, shards)), first.clone());
        let merged = (shards > 1)
            .then(|| Shard::new(shards, Keys::of_merged_board(merged_tag(shards)), first.clone()));
        Ok(Self {
            shards: (0..shards).map(shard).collect(),
            merged,
            board_places: Mutex::default(),
            rank_batcher: RankBatcher::default(),
            topology,
            metrics,
            wait_replicas: config.wait_replicas,
            timeout: Duration::from_millis(config.timeout_ms),
        })
    }
}

/// Opens a dedicated connection and returns it with the run id of its process, in the form of `lua/lib/epoch.lua`, and `INFO server`.
/// `timeout` is for connecting, `response_timeout` for each reply.
pub(super) async fn connect_to_run(
    client: &redis::Client,
    operation: &'static str,
    timeout: Duration,
    response_timeout: Duration,
) -> Result<(MultiplexedConnection, String, redis::InfoDict), Fault> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(response_timeout));
    let connection = client.get_multiplexed_async_connection_with_config(&settings).await;
    let mut connection = connection.map_err(|error| fault(operation, error))?;
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let replies = pipeline.query_async(&mut connection).await;
    let (info, replication): (redis::InfoDict, redis::InfoDict) =
        replies.map_err(|error| fault(operation, error))?;
    let run = info.get::<String>("run_id").zip(replication.get::<String>("master_replid"));
    let (run_id, replication_id) =
        run.ok_or_else(|| Fault::new(operation, "INFO has no run_id or master_replid"))?;
    Ok((connection, run_id + &replication_id, info))
}

/// The error at startup for a server that cannot be used.
fn unusable(server: &Server, text: &str) -> Fault {
    Fault::retryable("connect_to_redis", format!("{}: {text}; {}", server.address, advice(text)))
}

/// The `maxmemory-policy` if it may evict keys. Read from INFO, which needs fewer rights than CONFIG.
fn evicting_policy(info: &redis::InfoDict) -> Option<String> {
    info.get::<String>("maxmemory_policy").filter(|policy| policy != "noeviction")
}

impl Store {
    /// Refuses a Redis that may evict scores, or that needs other settings. A Redis without persistence loses acknowledged awards when it
    /// stops; this is only a warning, since a replica may have them.
    async fn refuse_unsuitable(&self, server: &Server) -> Result<(), Fault> {
        let info: redis::InfoDict = match server.ask(Request::Command(&redis::cmd("INFO"))).await {
            Ok(info) => info,
            Err(error) => return Err(unusable(server, &server.error_text(&error).await)),
        };
        let unsuitable =
            |problem: &str| Err(Fault::new("use_redis", format!("{}: {problem}", server.address)));
        match info.get::<String>("redis_mode").as_deref() {
            Some("sentinel") => {
                return unsuitable(
                    "this is a Sentinel; set REDIS_URL to redis-sentinel://host:26379/0#master",
                );
            }
            Some("cluster") if !self.topology.is_dynamic() => {
                return unsuitable(
                    "this is a node of a Redis Cluster; set REDIS_URL to redis-cluster://host:6379",
                );
            }
            _ => {}
        }
        if info.get::<u8>("aof_enabled") == Some(0) {
            tracing::warn!(
                address = &*server.address,
                "redis has appendonly no, a restart loses acknowledged awards"
            );
        }
        if info.get::<u8>("arch_bits") == Some(32) {
            return unsuitable(
                "this is a 32-bit Redis, whose scripts cannot format scores and times; use a 64-bit one",
            );
        }
        match evicting_policy(&info) {
            Some(policy) => {
                unsuitable(&format!("maxmemory-policy {policy} may evict scores; set it to noeviction"))
            }
            None => Ok(()),
        }
    }

    /// Logs the servers of this node.
    ///
    /// # Errors
    /// A server is unavailable.
    pub async fn log_servers(&self) -> Result<(), Fault> {
        let mut server_info = redis::cmd("INFO");
        server_info.arg("server");
        for server in self.distinct_servers() {
            let info: redis::InfoDict = server.ask_here("read_server_version", &server_info).await?;
            let version: Option<String> = info.get("redis_version");
            tracing::info!(address = &*server.address, version, "redis connected");
        }
        Ok(())
    }

    /// The first server whose `maxmemory-policy` may evict keys, and that policy. It may be changed after the node started.
    ///
    /// # Errors
    /// A server is unavailable.
    pub async fn evicts(&self) -> Result<Option<(Arc<str>, String)>, Fault> {
        let mut memory = redis::cmd("INFO");
        memory.arg("memory");
        for server in self.distinct_servers() {
            let info = server.ask_here::<redis::InfoDict>("check_maxmemory_policy", &memory).await?;
            if let Some(policy) = evicting_policy(&info) {
                return Ok(Some((server.address.clone(), policy)));
            }
        }
        Ok(None)
    }

    /// The first server that refuses writes, as `address: error`. A Redis may answer every read and refuse writes: its memory is full, it
    /// lacks replicas, is a replica, cannot save, or denies the rights. The test write changes nothing: a new score of a missing member.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn write_refusal(&self) -> Result<Option<String>, Fault> {
        for refusal in join_all(self.all_shards().into_iter().map(|shard| self.refusal_of(shard))).await {
            if let Some(refusal) = refusal? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    async fn refusal_of(&self, shard: &Shard) -> Result<Option<String>, Fault> {
        let mut write = redis::cmd("ZADD");
        write.arg(&shard.keys.board(crate::store::BoardId::GLOBAL).scores).arg("XX").arg(0).arg("");
        match self.ask_at::<Value>(shard, Request::Command(&write)).await {
            Ok(_) => Ok(None),
            Err(CallError::Failed(error)) if error.code().is_some() => {
                Ok(Some(format!("{}: {}", shard.server().address, error_text(&error))))
            }
            Err(error) => Err(error.into_fault("check_writes")),
        }
    }
}
