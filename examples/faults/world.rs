//! Stores, nodes, and the ways between them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::disk::Disk;
use crate::flows::{CATALOGUE, Player};
use crate::node::{self, Node, readiness};
use crate::proxy::{Proxy, Way};
use crate::stores::{PostgresStore, RedisStore};

/// Whoever is not back by then hangs.
const RECOVERY: Duration = Duration::from_secs(120);

/// How long a request waits for its answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// A node's ways to its stores.
pub struct Ways {
    pub redis: Proxy,
    pub postgres: Proxy,
}

pub struct World<'a> {
    pub folder: PathBuf,
    pub redis: Mutex<RedisStore>,
    pub postgres: Mutex<PostgresStore>,
    pub disk: &'a Disk,
    pub nodes: Vec<Mutex<Node>>,
    pub ways: Vec<Ways>,
    pub bases: Vec<String>,
    pub client: reqwest::Client,
    /// Of Redis and Postgres themselves, past the proxies.
    pub ports: (u16, u16),
    /// What faults found that should not be.
    pub wrong: parking_lot::Mutex<Vec<String>>,
}

impl<'a> World<'a> {
    /// Starts the stores and the nodes. Call it on the main thread: they end with the thread that started them.
    pub async fn start(folder: &Path, disk: &'a Disk, nodes: usize, fsync: &str) -> Self {
        let redis = RedisStore::start(folder.join("r"), fsync).await;
        let postgres = PostgresStore::start(folder.join("p")).await;
        std::fs::write(folder.join("actions.toml"), CATALOGUE).unwrap();
        let ports = (redis.port, postgres.port);
        let (mut all, mut ways, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..nodes {
            let way = Ways { redis: Proxy::start(ports.0).await, postgres: Proxy::start(ports.1).await };
            let mut node = Node::new(place, folder, way.redis.port, way.postgres.port);
            node.start();
            bases.push(node.base.clone());
            all.push(Mutex::new(node));
            ways.push(way);
        }
        let client =
            reqwest::Client::builder().pool_max_idle_per_host(1000).timeout(PATIENCE).build().unwrap();
        let (redis, postgres) = (Mutex::new(redis), Mutex::new(postgres));
        Self {
            folder: folder.to_owned(),
            redis,
            postgres,
            disk,
            nodes: all,
            ways,
            bases,
            client,
            ports,
            wrong: parking_lot::Mutex::default(),
        }
    }

    /// Runs a command of Laurel's past the proxies.
    pub async fn laurel(&self, arguments: &[&str]) -> Output {
        node::run(&self.folder, self.ports.0, self.ports.1, arguments).await
    }

    /// So many new players.
    pub async fn players(&self, count: usize) -> Vec<Player> {
        let (users, file) = (count.to_string(), self.folder.join("logins"));
        let seeded = self.laurel(&["seed", "--users", &users, "--tokens", file.to_str().unwrap()]).await;
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        let logins = std::fs::read_to_string(file).unwrap();
        logins.lines().map(Player::of).collect()
    }

    /// Ends every fault that may still be there.
    pub async fn heal(&self) {
        for way in &self.ways {
            way.redis.set(Way::Pass);
            way.postgres.set(Way::Pass);
        }
        let mut postgres = self.postgres.lock().await;
        self.disk.free(postgres.pid());
        postgres.kill_if_ended().await;
        postgres.restart().await;
        self.redis.lock().await.restart().await;
    }

    /// Waits until every node takes awards and has written the outbox; what ended is started again, as an operator's supervisor
    /// would. Returns how long that took.
    ///
    /// # Errors
    /// What hangs.
    pub async fn recover(&self) -> Result<Duration, String> {
        let began = Instant::now();
        loop {
            let mut missing = Vec::new();
            for (node, base) in self.nodes.iter().zip(&self.bases) {
                let mut node = node.lock().await;
                if let Some(status) = node.ended() {
                    println!("  node {} had ended by itself: {status}", node.place);
                }
                node.start();
                match readiness(&self.client, base).await {
                    Some(it) if it.ready => {}
                    Some(it) => {
                        missing.push(format!("node {} is not ready ({} entries)", node.place, it.outbox))
                    }
                    None => missing.push(format!("node {} does not answer", node.place)),
                }
            }
            if missing.is_empty() {
                return Ok(began.elapsed());
            }
            if began.elapsed() > RECOVERY {
                return Err(format!("after {} s: {}", RECOVERY.as_secs(), missing.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
