//! A single Redis whose replica takes over when the Sentinels say so.

use std::sync::Arc;
use std::time::Instant;

use laurel::store::Store;

use super::Scene;
use crate::harness::{KeptSentinels, World};

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_put_a_replica_in_a_masters_place_and_no_award_is_lost() {
    let mut world = World::with_shards(1).await;
    let mut redis = KeptSentinels::start(&world.folder.path().join("watched")).await;
    world.config.redis.url = redis.url().into();
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

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_want_a_login_of_their_own() {
    let mut world = World::with_shards(1).await;
    let redis = KeptSentinels::with_password(&world.folder.path().join("watched"), "sentinels-secret").await;
    world.config.redis.url = redis.url().into();
    for (password, url, said) in [
        ("", redis.url(), "NOAUTH Authentication required"),
        ("wrong", redis.url(), "WRONGPASS invalid username-password pair"),
        ("sentinels-secret", redis.url().replace("#laurel", "#another"), "ERR No such master with that name"),
        (
            "sentinels-secret",
            redis.url().replace("//", "//:masters-secret@"),
            "ERR AUTH <password> called without",
        ),
    ] {
        let mut config = world.config.redis.clone();
        (config.sentinel_password, config.url) = (password.to_owned().into(), url.into());
        let refused = Store::connect(&config, Arc::default()).await.err().unwrap().to_string();
        assert!(refused.contains(said) && !refused.contains("secret"), "{refused}");
        // Of the Sentinels each is named.
        assert!(said.starts_with("ERR AUTH") || refused.matches("127.0.0.1:").count() == 3, "{refused}");
    }
    let node = world.node_with(|it| it.redis.sentinel_password = "sentinels-secret".to_owned().into()).await;
    let ada = node.register("ada").await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 10);
}
