//! Redis replies with an error after which connections of redis-rs do not recover: a changed password, or LOADING. The tests need a password
//! in the URL and an option that slows loading, so they run on a single Redis.

use crate::harness::{TestNode, TestStores, connect_redis, eventually};

async fn wait_for_status(node: &TestNode, status: u16) {
    eventually(&format!("/readyz/awards to return {status}"), async || {
        (node.get("/readyz/awards").await.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_recovers_from_a_password_change() {
    let stores = TestStores::with_shards(1).await;
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query("CONFIG SET requirepass secret").await;
    let url = format!("{}?pass=secret", stores.config.redis.url.expose());
    let node = stores.start_node_with(|it| it.redis.url = url.into()).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;

    let _: () = redis_client.query("CONFIG SET requirepass another").await;
    let _: u64 = redis_client.query("CLIENT KILL TYPE normal SKIPME yes").await;
    wait_for_status(&node, 503).await;
    for _ in 0..10 {
        // Every connection of the node gets the error.
        node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    }
    let _: () = redis_client.query("CONFIG SET requirepass secret").await;
    wait_for_status(&node, 200).await;
    eventually("each connection to recover", async || {
        let requests = (0..10).map(|_| node.init(&ada, "watch_ad"));
        futures::future::join_all(requests).await.iter().all(|response| response.status == 200).then_some(())
    })
    .await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_recovers_while_redis_loads_its_data() {
    let mut stores = TestStores::with_shards(1).await;
    let node = stores.start_node_with(|it| it.redis.timeout_ms = 1000).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let mut filler = redis::pipe();
    for number in 0..8_000 {
        filler.set("filler", number).ignore();
    }
    let url = stores.redis.url.clone();
    filler.exec_async(&mut connect_redis(&url).await.unwrap()).await.unwrap();
    stores.redis.kill().await;
    let requests = async {
        eventually("Redis to reply with LOADING", async || {
            let mut connection = connect_redis(&url).await.ok()?;
            let reply = redis::cmd("GET").arg("filler").exec_async(&mut connection).await;
            reply.is_err_and(|error| error.code() == Some("LOADING")).then_some(())
        })
        .await;
        node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    };
    // The delay is in µs per key. While loading, Redis serves its connections once per 1024 keys.
    futures::join!(stores.redis.restart_with(&["--key-load-delay", "100"]), requests);
    wait_for_status(&node, 200).await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
}
