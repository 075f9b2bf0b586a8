//! What it costs that the board is split: the same awards and ranks over 1, 2, 4 and 8 shards of one Redis and over 8 of a cluster,
//! in turns, so that whatever else the machine does meets all of them; and what players and awards leave behind.

mod cluster;
mod held;
mod report;
mod stage;

use std::time::{Duration, Instant};

use cluster::Cluster;
use held::Held;
pub use report::HEADING;
use stage::Stage;

/// With scores all over the range, so that few of their awards change the ten.
const USERS: usize = 20_000;
/// Rounds that count; one before them warms up.
const ROUNDS: usize = 4;
/// A round of one stage: awards of everybody, of the ten best, one after the other, and ranks.
const AWARDS: usize = 4000;
const LEADING: usize = 2000;
const ALONE: usize = 50;
const RANKS: usize = 4000;
/// How long nothing is done, to see what that takes.
const REST: Duration = Duration::from_secs(6);

/// Everything that was measured.
pub struct Shards {
    /// The first has one shard.
    stages: Vec<Stage>,
    /// The part of the machine's cores that others used meanwhile.
    others: f64,
    held: Held,
    verified: String,
}

pub async fn measure() -> Shards {
    let held = held::measure().await;
    let mut stages = Vec::new();
    for (name, shards) in [("1", "1"), ("2", "2"), ("4", "4"), ("8", "8")] {
        stages.push(Stage::start(name, shards, None).await);
    }
    stages.push(Stage::start("8, cluster", "8", Some(Cluster::start().await)).await);
    rest(&mut stages).await;
    let (before, started) = (used(&stages), Instant::now());
    for round in 0..=ROUNDS {
        for stage in &mut stages {
            stage.round(round > 0).await;
        }
    }
    let after = used(&stages);
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let others = (after - before) / cores / started.elapsed().as_secs_f64();
    let verified = stages.iter().map(|it| it.server.verify()).collect::<Vec<_>>().join("; ");
    for stage in &mut stages {
        let _ = stage.server.node.kill();
        if let Some(cluster) = stage.cluster.take() {
            cluster.stop().await;
        }
    }
    Shards { stages, others, held, verified }
}

/// What each stage uses while nothing is done.
async fn rest(stages: &mut [Stage]) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, began): (Vec<_>, _) = (stages.iter().map(Stage::cost).collect(), Instant::now());
    tokio::time::sleep(REST).await;
    for (stage, before) in stages.iter_mut().zip(before) {
        stage.rest = stage.cost().minus(before).times(1.0 / began.elapsed().as_secs_f64());
    }
}

/// CPU seconds of others so far.
fn used(stages: &[Stage]) -> f64 {
    let all = crate::cpu::Cpu::of(&stages[0].server);
    let ours = stages.iter().map(Stage::cost).map(|it| it.node + it.redis + it.replicas + it.postgres);
    all.machine - all.load - ours.sum::<f64>()
}
