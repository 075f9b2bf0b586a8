//! A single Redis whose replica takes over when the Sentinels say so.

use std::time::Instant;

use super::Scene;
use crate::harness::{KeptSentinels, World};

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_put_a_replica_in_a_masters_place_and_no_award_is_lost() {
    let mut world = World::with_shards(1).await;
    let mut redis = KeptSentinels::start(&world.folder.path().join("watched")).await;
    world.config.store.redis_url = redis.url().into();
    let scene = Scene::begin(world).await;

    let began = Instant::now();
    redis.kill(0).await;
    redis.is_master(1).await;
    let over = began.elapsed();
    // It thinks that it is the master still, and has what it had; nobody believes it.
    redis.restart(0).await;
    println!("killed: failed over {over:?} after, back {:?} after", scene.is_back(0, began).await);
    redis.settled(1).await;
    scene.play.goes_on().await;

    let began = Instant::now();
    redis.stop(1);
    redis.is_master(0).await;
    let over = began.elapsed();
    scene.is_open().await;
    let open = began.elapsed();
    // What it was sent before it hung it does now.
    redis.go_on(1);
    println!(
        "stopped: failed over {over:?} after, open {open:?} after, back {:?} after",
        scene.is_back(0, began).await
    );
    redis.settled(0).await;
    scene.play.goes_on().await;
    scene.end().await;
}
