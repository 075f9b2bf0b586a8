//! A cluster in which slots move, and masters are killed and stopped.

use std::time::Instant;

use laurel::store::shard_of;

use super::Scenario;
use crate::harness::{TestCluster, TestStores};

const SHARDS: usize = 8;

impl Scenario {
    fn cluster(&mut self) -> &mut TestCluster {
        self.stores.redis.cluster().unwrap()
    }

    /// Returns the slot of the merged board, a shard with players on another master, and the slot of this shard.
    async fn choose_slots(&mut self) -> (u16, usize, u16) {
        let mut shards: Vec<usize> =
            self.players.iter().map(|player| shard_of(player.user.as_bytes(), SHARDS)).collect();
        shards.dedup();
        let cluster = self.cluster();
        let merged = cluster.slot("{8.all}").await;
        let merged_board_master = cluster.master_of(merged).await;
        for shard in shards {
            let slot = cluster.slot(&format!("{{{SHARDS}.{shard}}}")).await;
            if cluster.master_of(slot).await != merged_board_master {
                return (merged, shard, slot);
            }
        }
        panic!("all shards are on one master")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_loses_no_award() {
    let mut scenario = Scenario::start(TestStores::on_cluster(SHARDS).await).await;
    let (merged, shard, slot) = scenario.choose_slots().await;

    // A shard moves. It is on two masters for a while, and the other shards go on.
    let to = scenario.cluster().master_of(merged).await.unwrap();
    let started = Instant::now();
    let migration = scenario.cluster().start_migration(slot, to).await;
    scenario.cluster().migrate_keys(migration, 10).await;
    scenario.play.wait_for_awards().await;
    while scenario.cluster().migrate_keys(migration, 100).await > 0 {}
    scenario.cluster().finish_migration(migration).await;
    let moved = Instant::now();
    println!(
        "moved: awards {:?} after the end, {:?} after the start",
        scenario.wait_for_awards(shard, moved).await,
        started.elapsed()
    );
    scenario.cluster().migrate_slot(slot, migration.from).await;
    scenario.wait_for_awards(shard, moved).await;

    // The masters of a shard and of the merged board are killed. The new master has no replica until the old master is back.
    scenario.cluster().shorten_node_timeout().await;
    for slot in [slot, merged] {
        let started = Instant::now();
        let killed = scenario.cluster().kill_master(slot).await;
        scenario.cluster().wait_for_failover(slot, killed).await;
        let failover = started.elapsed();
        scenario.cluster().restart(killed).await;
        let awards = scenario.wait_for_awards(shard, started).await;
        println!("killed: failover after {failover:?}, awards after {awards:?}");
        scenario.cluster().wait_until_ready().await;
        scenario.play.wait_for_awards().await;
    }

    // A master hangs until its replica has taken over.
    let started = Instant::now();
    let hung = scenario.cluster().master_of(slot).await.unwrap();
    scenario.cluster().stop(hung);
    scenario.cluster().wait_for_failover(slot, hung).await;
    let failover = started.elapsed();
    scenario.wait_until_open().await;
    let open = started.elapsed();
    // The old master executes the commands that it received before.
    scenario.cluster().resume(hung);
    let awards = scenario.wait_for_awards(shard, started).await;
    println!("stopped: failover after {failover:?}, open after {open:?}, awards after {awards:?}");
    scenario.cluster().wait_until_ready().await;
    scenario.play.wait_for_awards().await;
    scenario.finish().await;
}
