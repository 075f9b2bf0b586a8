//! How a node comes to its Redis, and which one it refuses.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use super::Store;
use super::above::Above;
use super::redis_error::{advice, fault};
use super::script::Scripts;
use super::server::{Question, Server};
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
    pub async fn connect(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let store = Self::new(config, metrics)?;
        store.find_servers().await?;
        for server in store.distinct_servers() {
            server.greet().await.map_err(|words| unusable(&server, &words))?;
            store.refuse_unfit(&server).await?;
        }
        Ok(store)
    }

    /// One that has not asked Redis for anything yet.
    ///
    /// # Errors
    /// A URL that is none.
    pub(super) fn new(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Self, Fault> {
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

/// A connection of its own, which leads to one process, and what that says of itself: which run it is, as `lua/lib/epoch.lua` names it,
/// and the rest of `INFO server`. It has `timeout` to connect and `hangs_after` for an answer.
pub(super) async fn connect_to_run(
    client: &redis::Client,
    doing: &'static str,
    timeout: Duration,
    hangs_after: Duration,
) -> Result<(MultiplexedConnection, String, redis::InfoDict), Fault> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(hangs_after));
    let opened = client.get_multiplexed_async_connection_with_config(&settings).await;
    let mut connection = opened.map_err(|error| fault(doing, error))?;
    let mut asked = redis::pipe();
    asked.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let told = asked.query_async(&mut connection).await;
    let (info, replication): (redis::InfoDict, redis::InfoDict) =
        told.map_err(|error| fault(doing, error))?;
    let run = info.get::<String>("run_id").zip(replication.get::<String>("master_replid"));
    let (run, history) = run.ok_or_else(|| Fault::new(doing, "Redis does not say which run it is"))?;
    Ok((connection, run + &history, info))
}

/// What an operator reads of a server that a node cannot start with.
fn unusable(server: &Server, words: &str) -> Fault {
    Fault::retryable("connect to Redis", format!("{}: {words}; {}", server.address, advice(words)))
}

/// The `maxmemory-policy`, if it is one that may drop keys. INFO says it too, which less rights suffice for than for CONFIG.
fn evicting(info: &redis::InfoDict) -> Option<String> {
    info.get::<String>("maxmemory_policy").filter(|it| it != "noeviction")
}

impl Store {
    /// Contract, section 8: an evicting Redis would lose scores without a word. One that writes nothing to disk loses
    /// acknowledged awards when it ends, which is said, since a replica may keep them.
    async fn refuse_unfit(&self, server: &Server) -> Result<(), Fault> {
        let info: redis::InfoDict = match server.ask(Question::Command(&redis::cmd("INFO"))).await {
            Ok(info) => info,
            Err(unanswered) => return Err(unusable(server, &server.words(&unanswered).await)),
        };
        let unfit = |told: &str| Err(Fault::new("use this Redis", format!("{}: {told}", server.address)));
        match info.get::<String>("redis_mode").as_deref() {
            Some("sentinel") => {
                return unfit("it is a Sentinel; set REDIS_URL to redis-sentinel://host:26379/0#master");
            }
            Some("cluster") if !self.servers.may_move() => {
                return unfit("it belongs to a Redis Cluster; set REDIS_URL to redis-cluster://host:6379");
            }
            _ => {}
        }
        if info.get::<u8>("aof_enabled") == Some(0) {
            tracing::warn!("Redis has appendonly no: what it acknowledged is lost when it ends");
        }
        if info.get::<u8>("arch_bits") == Some(32) {
            return unfit(
                "it is a 32-bit one, whose scripts cannot write out a score or a time; use a 64-bit one",
            );
        }
        match evicting(&info) {
            Some(policy) => unfit(&format!(
                "it has maxmemory-policy {policy}, which may drop scores; set it to noeviction"
            )),
            None => Ok(()),
        }
    }

    /// Logs which servers a node is connected to.
    ///
    /// # Errors
    /// One is away.
    pub async fn log_servers(&self) -> Result<(), Fault> {
        let mut server_info = redis::cmd("INFO");
        server_info.arg("server");
        for server in self.distinct_servers() {
            let info: redis::InfoDict = server.ask_here("ask for the version", &server_info).await?;
            let version: Option<String> = info.get("redis_version");
            tracing::info!(address = &*server.address, version, "redis connected");
        }
        Ok(())
    }

    /// The first server whose `maxmemory-policy` may drop keys by now, though it did not when the node started, and that policy.
    ///
    /// # Errors
    /// A server is away.
    pub async fn evicts(&self) -> Result<Option<(Arc<str>, String)>, Fault> {
        let mut memory = redis::cmd("INFO");
        memory.arg("memory");
        for server in self.distinct_servers() {
            let info = server.ask_here::<redis::InfoDict>("check maxmemory-policy", &memory).await?;
            if let Some(policy) = evicting(&info) {
                return Ok(Some((server.address.clone(), policy)));
            }
        }
        Ok(None)
    }
}
