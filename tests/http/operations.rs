use crate::harness::{World, eventually};

#[tokio::test]
async fn a_node_says_how_it_is() {
    let world = World::new().await;
    let node = world.node().await;
    assert_eq!(node.get("/healthz").await.status, 200);
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &serde_json::json!([])));
    assert_eq!(node.get("/readyz/awards").await.status, 200);

    // An entry that nobody can read keeps a closed board from being opened.
    let mut look = world.look().await;
    let _: String = look.ask("XADD outbox * kind unknown").await;
    node.app.store.close_board().await.unwrap();
    eventually("the node to see that the board is closed", async || {
        (node.get("/readyz/awards").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(node.get("/readyz").await.status, 200, "reads and sockets go on");
    let _: u64 = look.ask("XTRIM outbox MAXLEN 0").await;
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
async fn a_redis_that_may_drop_scores_is_refused() {
    let world = World::new().await;
    let _: () = world.look().await.ask("CONFIG SET maxmemory-policy allkeys-lru").await;
    let refused = laurel::serve::Node::start(world.config.clone(), world.clock.clone()).await;
    let why = refused.err().unwrap().to_string();
    assert!(why.contains("allkeys-lru") && why.contains("noeviction"), "{why}");
}
