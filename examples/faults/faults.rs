//! The kinds of faults, their random order, and what each does.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::time::sleep;

use crate::audit::Loss;
use crate::deployment::Deployment;
use crate::history::History;
use crate::node::readiness;
use crate::proxy::{Proxy, ProxyMode};
use crate::random::Random;
use crate::signal::Paused;

/// Their order decides which faults a seed gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    KillNode,
    PauseNode,
    KillRedis,
    PauseRedis,
    OldRedis,
    EmptyRedis,
    KillPostgres,
    PausePostgres,
    FullDisk,
    CutRedis,
    SilentRedis,
    LateRedis,
    SlowRedis,
    CutPostgres,
    SilentPostgres,
    LatePostgres,
    SlowPostgres,
    Rebuild,
    Roll,
}

use Kind::*;

/// A node that does not serve by then is left to `recover`.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// One fault of a round.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    /// Since the start of the load.
    pub starts_after: Duration,
    pub duration: Duration,
    /// The node that it affects. None: all nodes.
    pub node: Option<usize>,
    pub slow_by: Duration,
}

/// Generates faults. Each kind comes once before any comes again.
pub struct FaultGenerator {
    random: Random,
    kinds: Vec<Kind>,
    /// Kinds that have not come yet.
    remaining: Vec<Kind>,
}

impl FaultGenerator {
    /// Generates these kinds, or all if none is given.
    pub fn new(seed: u64, only: &[Kind]) -> Self {
        let kinds = if only.is_empty() { Kind::value_variants() } else { only };
        Self { random: Random::new(seed, 0, 0), kinds: kinds.to_vec(), remaining: Vec::new() }
    }

    /// The faults of a round: `count`, or one to three. Often one starts before the previous one ends.
    pub fn next_round(&mut self, count: Option<u64>, nodes: usize) -> Vec<Fault> {
        let count = count.unwrap_or_else(|| [1, 1, 2, 2, 3][self.random.below(5)]);
        let mut after_ms = self.random.between(500, 1500);
        (0..count)
            .map(|_| {
                let fault = self.next(Duration::from_millis(after_ms), nodes);
                let duration_ms = fault.duration.as_millis() as u64;
                after_ms += if self.random.percent(40) { duration_ms / 2 } else { duration_ms + 500 };
                fault
            })
            .collect()
    }

    fn next(&mut self, starts_after: Duration, nodes: usize) -> Fault {
        if self.remaining.is_empty() {
            self.remaining = self.kinds.clone();
            self.random.shuffle(&mut self.remaining);
        }
        let kind = self.remaining.pop().expect("it was refilled");
        let ms = match kind {
            // Sometimes longer than the leader's time-out.
            PauseNode if self.random.percent(50) => self.random.between(5500, 8000),
            PauseNode | PauseRedis | PausePostgres => self.random.between(1000, 3500),
            OldRedis => self.random.between(600, 3000),
            KillNode | KillRedis | KillPostgres | EmptyRedis | Rebuild | Roll => {
                self.random.between(50, 1500)
            }
            _ => self.random.between(800, 3000),
        };
        let affects_all = self.random.percent(40) && !matches!(kind, KillNode | PauseNode) || kind == Roll;
        let node = (!affects_all).then(|| self.random.below(nodes));
        let slow_by = Duration::from_millis(self.random.between(5, 80));
        Fault { kind, starts_after, duration: Duration::from_millis(ms), node, slow_by }
    }
}

impl Fault {
    /// Waits for its time, injects the fault, and ends it. Returns what Redis lost, if anything.
    pub async fn inject(
        &self,
        deployment: &Deployment<'_>,
        history: &History,
        fsync_always: bool,
        seq: i64,
    ) -> Option<Loss> {
        sleep(self.starts_after).await;
        match self.kind {
            KillRedis | EmptyRedis | OldRedis => {
                return self.lose_redis(deployment, history, fsync_always, seq).await;
            }
            KillNode => self.kill_node(deployment).await,
            KillPostgres => self.kill_postgres(deployment).await,
            PauseNode => {
                let node = deployment.nodes[self.place()].lock().await;
                let _paused = node.pid().map(|pid| Paused::new(&[pid]));
                sleep(self.duration).await;
            }
            PauseRedis => {
                let redis = deployment.redis.lock().await;
                let _paused = redis.pid().map(|pid| Paused::new(&[pid]));
                sleep(self.duration).await;
            }
            PausePostgres => {
                let postgres = deployment.postgres.lock().await;
                let _paused = postgres.pid().map(Paused::family);
                sleep(self.duration).await;
            }
            FullDisk => self.fill_disk(deployment).await,
            Rebuild => rebuild(deployment).await,
            Roll => self.restart_nodes(deployment).await,
            CutRedis | SilentRedis | LateRedis | SlowRedis | CutPostgres | SilentPostgres | LatePostgres
            | SlowPostgres => self.disturb_connections(deployment).await,
        }
        None
    }

    fn place(&self) -> usize {
        self.node.unwrap_or(0)
    }

    async fn kill_node(&self, deployment: &Deployment<'_>) {
        let mut node = deployment.nodes[self.place()].lock().await;
        node.kill();
        sleep(self.duration).await;
        node.start();
    }

    /// Restarts one node after the other, as for a new version: the next one once this one serves, or after a time-out if its stores are
    /// unavailable.
    async fn restart_nodes(&self, deployment: &Deployment<'_>) {
        for (node, base) in deployment.nodes.iter().zip(&deployment.bases) {
            let mut node = node.lock().await;
            if let Err(violation) = node.terminate().await {
                deployment.violations.lock().push(violation);
            }
            node.start();
            let started = Instant::now();
            while started.elapsed() < START_TIMEOUT && readiness(&deployment.client, base).await.is_none() {
                sleep(Duration::from_millis(50)).await;
            }
            drop(node);
            sleep(self.duration).await;
        }
    }

    async fn kill_postgres(&self, deployment: &Deployment<'_>) {
        let mut postgres = deployment.postgres.lock().await;
        postgres.kill().await;
        sleep(self.duration).await;
        postgres.restart().await;
    }

    async fn fill_disk(&self, deployment: &Deployment<'_>) {
        let mut postgres = deployment.postgres.lock().await;
        deployment.disk.fill(postgres.pid());
        sleep(self.duration).await;
        deployment.disk.free(postgres.pid());
        postgres.kill_if_ended().await;
        postgres.restart().await;
    }

    async fn lose_redis(
        &self,
        deployment: &Deployment<'_>,
        history: &History,
        fsync_always: bool,
        seq: i64,
    ) -> Option<Loss> {
        let copy = deployment.folder.join("copy");
        let from = if self.kind == OldRedis { history.now() } else { Duration::ZERO };
        if self.kind == OldRedis {
            let redis = deployment.redis.lock().await;
            redis.copy(&copy);
            drop(redis);
            sleep(self.duration).await;
        }
        let mut redis = deployment.redis.lock().await;
        redis.kill().await;
        let until = history.now();
        if self.kind == KillRedis {
            sleep(self.duration).await;
            redis.restart().await;
            return (!fsync_always).then(|| Loss { from, until, written: HashSet::new() });
        }
        // A batch that a node was writing may still arrive.
        sleep(Duration::from_millis(1000)).await;
        let written = crate::queries::written_since(deployment.ports.1, seq).await.unwrap_or_default();
        match self.kind {
            OldRedis => {
                redis.replace_data(&copy);
                std::fs::remove_dir_all(&copy).unwrap();
            }
            _ => redis.delete_data(),
        }
        redis.restart().await;
        Some(Loss { from, until, written })
    }

    async fn disturb_connections(&self, deployment: &Deployment<'_>) {
        let mode = match self.kind {
            CutRedis | CutPostgres => ProxyMode::Cut,
            SilentRedis | SilentPostgres => ProxyMode::Drop,
            LateRedis | LatePostgres => ProxyMode::Hold,
            _ => ProxyMode::Slow(self.slow_by),
        };
        let of_redis = matches!(self.kind, CutRedis | SilentRedis | LateRedis | SlowRedis);
        let affected = deployment.proxies.iter().enumerate();
        let affected = affected.filter(|(place, _)| self.node.is_none_or(|node| node == *place));
        let proxies: Vec<&Proxy> =
            affected.map(|(_, node)| if of_redis { &node.redis } else { &node.postgres }).collect();
        proxies.iter().for_each(|proxy| proxy.set(mode));
        sleep(self.duration).await;
        proxies.iter().for_each(|proxy| proxy.set(ProxyMode::Pass));
    }
}

/// Runs `laurel rebuild`, which may fail if a store is unavailable.
async fn rebuild(deployment: &Deployment<'_>) {
    let rebuild = deployment.laurel(&["rebuild"]);
    let error = match tokio::time::timeout(Duration::from_secs(30), rebuild).await {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | "),
        Err(_) => "it did not end in 30 s".into(),
    };
    println!("  a rebuild failed: {error}");
}
