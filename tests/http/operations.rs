use crate::harness::{World, eventually};

#[tokio::test]
async fn a_node_says_how_it_is() {
    let world = World::new().await;
    let node = world.node().await;
    assert_eq!(node.get("/healthz").await.status, 200);
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &serde_json::json!([])));
    assert_eq!(node.get("/readyz/awards").await.status, 200);

    // A closed board stays closed while the ledger lacks an entry of the outbox.
    let ada = node.register("ada").await;
    let locked = world.nobody_writes().await;
    node.award(&ada, "watch_ad").await;
    node.app.store.close_board().await.unwrap();
    eventually("the node to see that the board is closed", async || {
        (node.get("/readyz/awards").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(node.get("/readyz").await.status, 200, "reads and sockets go on");
    drop(locked);
    eventually("the board to be open again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.finalize(&ada, "forged", serde_json::Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    let wanted = [
        "laurel_awards_total{action=\"watch_ad\"} 1",
        "laurel_refusals_total{code=\"INVALID_TOKEN\"} 1",
        "laurel_http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/actions/finalize\",status=\"200\"} 1",
        "laurel_redis_script_duration_seconds_count{result=\"ok\",script=\"redeem\"} 1",
        "laurel_ledger_entries_total 2",
        "laurel_outbox_entries 0",
        "process_resident_memory_bytes",
    ];
    for line in wanted {
        eventually(line, async || node.get("/metrics").await.text.contains(line).then_some(())).await;
    }
}

#[tokio::test]
async fn a_redis_that_may_drop_scores_from_now_on_is_told() {
    let world = World::new().await;
    let node = world.node().await;
    let watch = laurel::live::watch_eviction_forever(node.app.clone(), std::time::Duration::from_millis(10));
    let watch = tokio::spawn(watch);
    let told = async |policy: &str, degraded: serde_json::Value, gauge: &str| {
        let _: () = world.look().await.ask(&format!("CONFIG SET maxmemory-policy {policy}")).await;
        eventually(policy, async || {
            let ready = node.get("/readyz").await;
            assert_eq!(ready.status, 200, "reads go on");
            let metrics = node.get("/metrics").await.text;
            (ready.body["degraded"] == degraded && metrics.contains(gauge)).then_some(())
        })
        .await;
    };
    told("allkeys-lru", serde_json::json!(["eviction"]), "laurel_redis_evicts 1").await;
    told("noeviction", serde_json::json!([]), "laurel_redis_evicts 0").await;
    told("volatile-ttl", serde_json::json!(["eviction"]), "laurel_redis_evicts 1").await;
    watch.abort();
}

#[tokio::test]
async fn a_redis_that_may_drop_scores_is_refused() {
    let world = World::new().await;
    let _: () = world.look().await.ask("CONFIG SET maxmemory-policy allkeys-lru").await;
    let refused = laurel::serve::Node::start(world.config.clone(), world.clock.clone()).await;
    let why = refused.err().unwrap().to_string();
    assert!(why.contains("allkeys-lru") && why.contains("noeviction"), "{why}");
}
