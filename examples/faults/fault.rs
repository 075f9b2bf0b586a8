//! The kinds of faults, how a seed deals them, and what each does.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::history::History;
use crate::judge::Loss;
use crate::node::readiness;
use crate::proxy::{Proxy, Way};
use crate::signal::Paused;
use crate::world::World;

/// A `ValueEnum` for its list of all: in the order below, by which a seed deals.
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

/// A node that does not answer by then is left to `recover`.
const COMES_UP: Duration = Duration::from_secs(5);

/// One fault of a round.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    /// Of the load's begin.
    pub after: Duration,
    pub lasts: Duration,
    /// Whom it befalls; none: everybody.
    pub node: Option<usize>,
    pub slow_by: Duration,
}

/// Deals kinds like cards, so that each comes as often as the others.
pub struct Deck {
    dice: Dice,
    kinds: Vec<Kind>,
    cards: Vec<Kind>,
}

impl Deck {
    /// Of these kinds; of all if none is named.
    pub fn new(seed: u64, only: &[Kind]) -> Self {
        let kinds = if only.is_empty() { Kind::value_variants() } else { only };
        Self { dice: Dice::new(seed, 0, 0), kinds: kinds.to_vec(), cards: Vec::new() }
    }

    /// One to three faults, or so many; often the next begins while the last one lasts.
    pub fn deal(&mut self, count: Option<u64>, nodes: usize) -> Vec<Fault> {
        let count = count.unwrap_or_else(|| [1, 1, 2, 2, 3][self.dice.below(5)]);
        let mut after_ms = self.dice.between(500, 1500);
        (0..count)
            .map(|_| {
                let fault = self.fault(Duration::from_millis(after_ms), nodes);
                let lasts_ms = fault.lasts.as_millis() as u64;
                after_ms += if self.dice.percent(40) { lasts_ms / 2 } else { lasts_ms + 500 };
                fault
            })
            .collect()
    }

    fn fault(&mut self, after: Duration, nodes: usize) -> Fault {
        if self.cards.is_empty() {
            self.cards = self.kinds.clone();
            self.dice.shuffle(&mut self.cards);
        }
        let kind = self.cards.pop().expect("there are cards");
        let ms = match kind {
            // Longer than a leader may say nothing, now and then.
            PauseNode if self.dice.percent(50) => self.dice.between(5500, 8000),
            PauseNode | PauseRedis | PausePostgres => self.dice.between(1000, 3500),
            OldRedis => self.dice.between(600, 3000),
            KillNode | KillRedis | KillPostgres | EmptyRedis | Rebuild | Roll => self.dice.between(50, 1500),
            _ => self.dice.between(800, 3000),
        };
        let everybody = self.dice.percent(40) && !matches!(kind, KillNode | PauseNode) || kind == Roll;
        let node = (!everybody).then(|| self.dice.below(nodes));
        let slow_by = Duration::from_millis(self.dice.between(5, 80));
        Fault { kind, after, lasts: Duration::from_millis(ms), node, slow_by }
    }
}

impl Fault {
    /// Waits for its time, happens, and ends; what Redis lost by it, if anything.
    pub async fn happen(&self, world: &World<'_>, history: &History, safe: bool, seq: i64) -> Option<Loss> {
        sleep(self.after).await;
        match self.kind {
            KillRedis | EmptyRedis | OldRedis => return self.lose_redis(world, history, safe, seq).await,
            KillNode => self.kill_node(world).await,
            KillPostgres => self.kill_postgres(world).await,
            PauseNode => {
                let node = world.nodes[self.place()].lock().await;
                let _paused = node.pid().map(|it| Paused::new(&[it]));
                sleep(self.lasts).await;
            }
            PauseRedis => {
                let redis = world.redis.lock().await;
                let _paused = redis.pid().map(|it| Paused::new(&[it]));
                sleep(self.lasts).await;
            }
            PausePostgres => {
                let postgres = world.postgres.lock().await;
                let _paused = postgres.pid().map(Paused::family);
                sleep(self.lasts).await;
            }
            FullDisk => self.fill_disk(world).await,
            Rebuild => rebuild(world).await,
            Roll => self.roll(world).await,
            CutRedis | SilentRedis | LateRedis | SlowRedis | CutPostgres | SilentPostgres | LatePostgres
            | SlowPostgres => self.disturb(world).await,
        }
        None
    }

    fn place(&self) -> usize {
        self.node.unwrap_or(0)
    }

    async fn kill_node(&self, world: &World<'_>) {
        let mut node = world.nodes[self.place()].lock().await;
        node.kill();
        sleep(self.lasts).await;
        node.start();
    }

    /// Each node is restarted as for a new version, the next one when this one serves; or not, if its stores are away meanwhile.
    async fn roll(&self, world: &World<'_>) {
        for (node, base) in world.nodes.iter().zip(&world.bases) {
            let mut node = node.lock().await;
            if let Err(wrong) = node.terminate().await {
                world.wrong.lock().push(wrong);
            }
            node.start();
            let began = Instant::now();
            while began.elapsed() < COMES_UP && readiness(&world.client, base).await.is_none() {
                sleep(Duration::from_millis(50)).await;
            }
            drop(node);
            sleep(self.lasts).await;
        }
    }

    async fn kill_postgres(&self, world: &World<'_>) {
        let mut postgres = world.postgres.lock().await;
        postgres.kill().await;
        sleep(self.lasts).await;
        postgres.restart().await;
    }

    async fn fill_disk(&self, world: &World<'_>) {
        let mut postgres = world.postgres.lock().await;
        world.disk.fill(postgres.pid());
        sleep(self.lasts).await;
        world.disk.free(postgres.pid());
        postgres.kill_if_ended().await;
        postgres.restart().await;
    }

    async fn lose_redis(&self, world: &World<'_>, history: &History, safe: bool, seq: i64) -> Option<Loss> {
        let copy = world.folder.join("copy");
        let from = if self.kind == OldRedis { history.now() } else { Duration::ZERO };
        if self.kind == OldRedis {
            let redis = world.redis.lock().await;
            redis.copy(&copy);
            drop(redis);
            sleep(self.lasts).await;
        }
        let mut redis = world.redis.lock().await;
        redis.kill().await;
        let until = history.now();
        if self.kind == KillRedis {
            sleep(self.lasts).await;
            redis.restart().await;
            return (!safe).then(|| Loss { from, until, written: HashSet::new() });
        }
        // What a node was writing just now may still come.
        sleep(Duration::from_millis(1000)).await;
        let written = crate::ledger::written_since(world.ports.1, seq).await.unwrap_or_default();
        match self.kind {
            OldRedis => {
                redis.replace_data(&copy);
                std::fs::remove_dir_all(&copy).unwrap();
            }
            _ => redis.lose_data(),
        }
        redis.restart().await;
        Some(Loss { from, until, written })
    }

    async fn disturb(&self, world: &World<'_>) {
        let way = match self.kind {
            CutRedis | CutPostgres => Way::Cut,
            SilentRedis | SilentPostgres => Way::Swallow,
            LateRedis | LatePostgres => Way::Hold,
            _ => Way::Slow(self.slow_by),
        };
        let of_redis = matches!(self.kind, CutRedis | SilentRedis | LateRedis | SlowRedis);
        let disturbed =
            world.ways.iter().enumerate().filter(|(it, _)| self.node.is_none_or(|node| node == *it));
        let proxies: Vec<&Proxy> =
            disturbed.map(|(_, it)| if of_redis { &it.redis } else { &it.postgres }).collect();
        proxies.iter().for_each(|it| it.set(way));
        sleep(self.lasts).await;
        proxies.iter().for_each(|it| it.set(Way::Pass));
    }
}

/// It may fail where a store is away meanwhile.
async fn rebuild(world: &World<'_>) {
    let rebuild = world.laurel(&["rebuild"]);
    let said = match tokio::time::timeout(Duration::from_secs(30), rebuild).await {
        Ok(it) if it.status.success() => return,
        Ok(it) => String::from_utf8_lossy(&it.stderr).trim().replace('\n', " | "),
        Err(_) => "it did not end in 30 s".into(),
    };
    println!("  a rebuild failed: {said}");
}
