//! Sentinels promote the replica of a Redis that is killed or stopped.

use std::sync::Arc;
use std::time::Instant;

use laurel::store::Store;

use super::Scenario;
use crate::harness::{TestSentinels, TestStores};

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_failover_loses_no_award() {
    let mut stores = TestStores::with_shards(1).await;
    let mut redis = TestSentinels::start(&stores.folder.path().join("sentinels")).await;
    stores.config.redis.url = redis.url().into();
    let scenario = Scenario::start(stores).await;

    let started = Instant::now();
    redis.kill(0).await;
    redis.wait_for_master(1).await;
    let failover = started.elapsed();
    // The old master starts as a master with its old data. Nodes must not use it.
    redis.restart(0).await;
    let awards = scenario.wait_for_awards(0, started).await;
    println!("killed: failover after {failover:?}, awards after {awards:?}");
    redis.wait_until_ready(1).await;
    scenario.play.wait_for_awards().await;

    let started = Instant::now();
    redis.stop(1);
    redis.wait_for_master(0).await;
    let failover = started.elapsed();
    scenario.wait_until_open().await;
    let open = started.elapsed();
    // The old master executes the commands that it received before.
    redis.resume(1);
    let awards = scenario.wait_for_awards(0, started).await;
    println!("stopped: failover after {failover:?}, open after {open:?}, awards after {awards:?}");
    redis.wait_until_ready(0).await;
    scenario.play.wait_for_awards().await;
    scenario.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_have_a_separate_login() {
    let mut stores = TestStores::with_shards(1).await;
    let redis =
        TestSentinels::with_password(&stores.folder.path().join("sentinels"), "sentinels-secret").await;
    stores.config.redis.url = redis.url().into();
    for (password, url, error) in [
        ("", redis.url(), "NOAUTH Authentication required"),
        ("wrong", redis.url(), "WRONGPASS invalid username-password pair"),
        ("sentinels-secret", redis.url().replace("#laurel", "#another"), "ERR No such master with that name"),
        (
            "sentinels-secret",
            redis.url().replace("//", "//:masters-secret@"),
            "ERR AUTH <password> called without",
        ),
    ] {
        let mut config = stores.config.redis.clone();
        (config.sentinel_password, config.url) = (password.to_owned().into(), url.into());
        let message = Store::connect(&config, Arc::default()).await.err().unwrap().to_string();
        assert!(message.contains(error) && !message.contains("secret"), "{message}");
        // The error names every Sentinel.
        assert!(error.starts_with("ERR AUTH") || message.matches("127.0.0.1:").count() == 3, "{message}");
    }
    let node =
        stores.start_node_with(|it| it.redis.sentinel_password = "sentinels-secret".to_owned().into()).await;
    let ada = node.register("ada").await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 10);
}
