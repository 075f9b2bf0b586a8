//! The stores, the nodes, and the proxies between them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::disk::Disk;
use crate::flows::{CATALOGUE, Player};
use crate::node::{self, Node, readiness};
use crate::proxy::{Proxy, ProxyMode};
use crate::stores::{PostgresStore, RedisStore};

/// A node that has not recovered by then hangs.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Time-out of a player's request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// A node's proxies to its stores.
pub struct NodeProxies {
    pub redis: Proxy,
    pub postgres: Proxy,
}

pub struct Deployment<'a> {
    pub folder: PathBuf,
    pub redis: Mutex<RedisStore>,
    pub postgres: Mutex<PostgresStore>,
    pub disk: &'a Disk,
    pub nodes: Vec<Mutex<Node>>,
    pub proxies: Vec<NodeProxies>,
    pub bases: Vec<String>,
    pub client: reqwest::Client,
    /// The ports of Redis and Postgres themselves.
    pub ports: (u16, u16),
    /// Violations that faults found.
    pub violations: parking_lot::Mutex<Vec<String>>,
}

impl<'a> Deployment<'a> {
    /// Starts the stores and the nodes. Call it on the main thread: the processes end with the thread that started them.
    pub async fn start(folder: &Path, disk: &'a Disk, nodes: usize, fsync: &str) -> Self {
        let redis = RedisStore::start(folder.join("r"), fsync).await;
        let postgres = PostgresStore::start(folder.join("p")).await;
        std::fs::write(folder.join("actions.toml"), CATALOGUE).unwrap();
        let ports = (redis.port, postgres.port);
        let (mut all, mut all_proxies, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..nodes {
            let proxies =
                NodeProxies { redis: Proxy::start(ports.0).await, postgres: Proxy::start(ports.1).await };
            let mut node = Node::new(place, folder, proxies.redis.port, proxies.postgres.port);
            node.start();
            bases.push(node.base.clone());
            all.push(Mutex::new(node));
            all_proxies.push(proxies);
        }
        let client =
            reqwest::Client::builder().pool_max_idle_per_host(1000).timeout(REQUEST_TIMEOUT).build().unwrap();
        let (redis, postgres) = (Mutex::new(redis), Mutex::new(postgres));
        Self {
            folder: folder.to_owned(),
            redis,
            postgres,
            disk,
            nodes: all,
            proxies: all_proxies,
            bases,
            client,
            ports,
            violations: parking_lot::Mutex::default(),
        }
    }

    /// Runs a command of `laurel` without the proxies.
    pub async fn laurel(&self, arguments: &[&str]) -> Output {
        node::run(&self.folder, self.ports.0, self.ports.1, arguments).await
    }

    /// Creates players.
    pub async fn players(&self, count: usize) -> Vec<Player> {
        let (users, file) = (count.to_string(), self.folder.join("logins"));
        let seeded = self.laurel(&["seed", "--users", &users, "--tokens", file.to_str().unwrap()]).await;
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        let logins = std::fs::read_to_string(file).unwrap();
        logins.lines().map(Player::of).collect()
    }

    /// Ends all faults.
    pub async fn heal(&self) {
        for proxies in &self.proxies {
            proxies.redis.set(ProxyMode::Pass);
            proxies.postgres.set(ProxyMode::Pass);
        }
        let mut postgres = self.postgres.lock().await;
        self.disk.free(postgres.pid());
        postgres.kill_if_ended().await;
        postgres.restart().await;
        self.redis.lock().await.restart().await;
    }

    /// Waits until every node accepts awards. Restarts nodes that have ended, like a service manager. Returns how long that took.
    ///
    /// # Errors
    /// A node hangs.
    pub async fn recover(&self) -> Result<Duration, String> {
        let started = Instant::now();
        loop {
            let mut missing = Vec::new();
            for (node, base) in self.nodes.iter().zip(&self.bases) {
                let mut node = node.lock().await;
                if let Some(status) = node.ended() {
                    println!("  node {} had ended by itself: {status}", node.place);
                }
                node.start();
                match readiness(&self.client, base).await {
                    Some(readiness) if readiness.is_ready => {}
                    Some(readiness) => {
                        let entries = readiness.outbox_entries;
                        missing.push(format!("node {} is not ready ({entries} entries)", node.place));
                    }
                    None => missing.push(format!("node {} does not respond", node.place)),
                }
            }
            if missing.is_empty() {
                return Ok(started.elapsed());
            }
            if started.elapsed() > RECOVERY_TIMEOUT {
                return Err(format!("after {} s: {}", RECOVERY_TIMEOUT.as_secs(), missing.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
