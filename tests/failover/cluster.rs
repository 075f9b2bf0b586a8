//! A cluster in which slots move, and masters are killed and stopped.

use std::time::Instant;

use laurel::store::shard_of;

use super::Scene;
use crate::harness::{TestCluster, TestStores};

const SHARDS: usize = 8;

impl Scene {
    fn cluster(&mut self) -> &mut TestCluster {
        self.stores.redis.cluster().unwrap()
    }

    /// The slot of the merged board; and a shard with players on another master, and its slot.
    async fn choose_slots(&mut self) -> (u16, usize, u16) {
        let mut shards: Vec<usize> =
            self.players.iter().map(|it| shard_of(it.user.as_bytes(), SHARDS)).collect();
        shards.dedup();
        let cluster = self.cluster();
        let merged = cluster.slot("{8.all}").await;
        let merged_master = cluster.master_of(merged).await;
        for shard in shards {
            let slot = cluster.slot(&format!("{{{SHARDS}.{shard}}}")).await;
            if cluster.master_of(slot).await != merged_master {
                return (merged, shard, slot);
            }
        }
        panic!("all shards are on one master")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_loses_no_award() {
    let mut scene = Scene::start(TestStores::on_cluster(SHARDS).await).await;
    let (merged, shard, slot) = scene.choose_slots().await;

    // A shard moves, and is on two masters for a while. The others go on.
    let to = scene.cluster().master_of(merged).await.unwrap();
    let started = Instant::now();
    let migration = scene.cluster().start_migration(slot, to).await;
    scene.cluster().migrate_keys(migration, 10).await;
    scene.play.goes_on().await;
    while scene.cluster().migrate_keys(migration, 100).await > 0 {}
    scene.cluster().finish_migration(migration).await;
    let moved = Instant::now();
    println!(
        "moved: awards {:?} after the end, {:?} after the start",
        scene.wait_for_awards(shard, moved).await,
        started.elapsed()
    );
    scene.cluster().migrate_slot(slot, migration.from).await;
    scene.wait_for_awards(shard, moved).await;

    // The masters of a shard and of the merged board are killed. The new master has no replica until the old one is back.
    scene.cluster().shorten_node_timeout().await;
    for slot in [slot, merged] {
        let started = Instant::now();
        let killed = scene.cluster().kill_master(slot).await;
        scene.cluster().wait_for_failover(slot, killed).await;
        let failover = started.elapsed();
        scene.cluster().restart(killed).await;
        let awards = scene.wait_for_awards(shard, started).await;
        println!("killed: failover after {failover:?}, awards after {awards:?}");
        scene.cluster().wait_until_ready().await;
        scene.play.goes_on().await;
    }

    // A master hangs until another has taken over.
    let started = Instant::now();
    let hung = scene.cluster().master_of(slot).await.unwrap();
    scene.cluster().stop(hung);
    scene.cluster().wait_for_failover(slot, hung).await;
    let failover = started.elapsed();
    scene.wait_until_open().await;
    let open = started.elapsed();
    // Now it executes the commands that it received before.
    scene.cluster().resume(hung);
    let awards = scene.wait_for_awards(shard, started).await;
    println!("stopped: failover after {failover:?}, open after {open:?}, awards after {awards:?}");
    scene.cluster().wait_until_ready().await;
    scene.play.goes_on().await;
    scene.finish().await;
}
