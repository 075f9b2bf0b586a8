//! A cluster whose slots move and whose masters are killed and stopped.

use std::time::Instant;

use laurel::store::shard_of;

use super::Scene;
use crate::harness::{KeptCluster, World};

const SHARDS: usize = 8;

impl Scene {
    fn cluster(&mut self) -> &mut KeptCluster {
        self.world.redis.cluster().unwrap()
    }

    /// The slot of the merged board, and a shard with players, and its slot, that another master serves.
    async fn places(&mut self) -> (u16, usize, u16) {
        let mut shards: Vec<usize> =
            self.players.iter().map(|it| shard_of(it.user.as_bytes(), SHARDS)).collect();
        shards.dedup();
        let cluster = self.cluster();
        let face = cluster.slot("{8.all}").await;
        let face_master = cluster.master_of(face).await;
        for shard in shards {
            let slot = cluster.slot(&format!("{{{SHARDS}.{shard}}}")).await;
            if cluster.master_of(slot).await != face_master {
                return (face, shard, slot);
            }
        }
        panic!("all are at one master")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_moves_slots_and_loses_masters_but_no_award() {
    let mut scene = Scene::begin(World::on_cluster(SHARDS).await).await;
    let (face, shard, slot) = scene.places().await;

    // A shard moves, and is for a while in two places; the others go on.
    let to = scene.cluster().master_of(face).await.unwrap();
    let began = Instant::now();
    let way = scene.cluster().begin_move(slot, to).await;
    scene.cluster().move_keys(way, 10).await;
    scene.play.goes_on().await;
    while scene.cluster().move_keys(way, 100).await > 0 {}
    scene.cluster().end_move(way).await;
    let moved = Instant::now();
    println!(
        "moved: back {:?} after its end, {:?} after its begin",
        scene.is_back(shard, moved).await,
        began.elapsed()
    );
    scene.cluster().reshard(slot, way.from).await;
    scene.is_back(shard, moved).await;

    // A shard's master dies, and the merged board's. A master that took over has no replica before the old one is back.
    scene.cluster().hurry().await;
    for slot in [slot, face] {
        let began = Instant::now();
        let killed = scene.cluster().kill_master(slot).await;
        scene.cluster().failed_over(slot, killed).await;
        let over = began.elapsed();
        scene.cluster().restart(killed).await;
        println!("killed: failed over {over:?} after, back {:?} after", scene.is_back(shard, began).await);
        scene.cluster().settled().await;
        scene.play.goes_on().await;
    }

    // One hangs until another has taken over, and then goes on.
    let began = Instant::now();
    let hung = scene.cluster().master_of(slot).await.unwrap();
    scene.cluster().stop(hung);
    scene.cluster().failed_over(slot, hung).await;
    let over = began.elapsed();
    scene.is_open().await;
    let open = began.elapsed();
    // What it was sent before it hung it does now.
    scene.cluster().go_on(hung);
    println!(
        "stopped: failed over {over:?} after, open {open:?} after, back {:?} after",
        scene.is_back(shard, began).await
    );
    scene.cluster().settled().await;
    scene.play.goes_on().await;
    scene.end().await;
}
