//! Readiness, and the metrics of awards, logins and stores.

use serde_json::{Value, json};

use crate::harness::{TestStores, eventually};

#[tokio::test]
async fn readiness_reports_the_node_state() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    assert_eq!(node.get("/healthz").await.status, 200);
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &json!([])));
    assert_eq!(node.get("/readyz/awards").await.status, 200);

    // A closed board is not opened while the ledger lacks an outbox entry.
    let ada = node.register("ada").await;
    let ledger_lock = stores.block_ledger_writes().await;
    node.award(&ada, "watch_ad").await;
    node.app.store.close_board().await.unwrap();
    eventually("the node to report the closed board", async || {
        (node.get("/readyz/awards").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(node.get("/readyz").await.status, 200, "reads and sockets continue");
    drop(ledger_lock);
    eventually("the board to be open again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_count_requests_and_awards() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.finalize(&ada, "forged", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    let lines = [
        "laurel_awards_total{action=\"watch_ad\"} 1",
        "laurel_refusals_total{code=\"INVALID_TOKEN\"} 1",
        "laurel_http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/actions/finalize\",status=\"200\"} 1",
        "laurel_redis_script_duration_seconds_count{result=\"ok\",script=\"redeem\"} 1",
        "laurel_ledger_entries_total 2",
        "laurel_outbox_entries 0",
        "process_resident_memory_bytes",
    ];
    for line in lines {
        eventually(line, async || node.get("/metrics").await.text.contains(line).then_some(())).await;
    }
}

#[tokio::test]
async fn logins_and_registrations_are_counted_by_result() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.limits.logins_per_minute = 3;
            config.limits.registers_per_minute_per_ip = 3;
        })
        .await;
    node.register("ada").await;
    for (username, email) in
        [("ada", "other@example.com"), ("eve", "ada@example.com"), ("eve", "eve@example.com")]
    {
        let body = json!({ "username": username, "email": email, "password": "correct horse" });
        node.post("/api/auth/register", "", &body).await;
    }
    for (username, password) in [
        ("ada", "correct horse"),
        ("ada", "wrong horse"),
        ("ada", "wrong horse"),
        ("ada", "correct horse"),
        ("bob", "wrong horse"),
    ] {
        node.post("/api/auth/login", "", &json!({ "username": username, "password": password })).await;
    }
    let text = node.get("/metrics").await.text;
    for line in [
        "registrations_total{result=\"ok\"} 1",
        "registrations_total{result=\"already_exists\"} 2",
        "registrations_total{result=\"rate_limit_exceeded\"} 1",
        "logins_total{result=\"ok\"} 1",
        "logins_total{result=\"invalid_credentials\"} 3",
        "logins_total{result=\"rate_limit_exceeded\"} 1",
    ] {
        assert!(text.contains(&format!("\nlaurel_{line}\n")), "{line}: {text}");
    }
}

#[tokio::test]
async fn an_unavailable_store_is_down_in_metrics() {
    let (mut stores, mut postgres) = TestStores::with_own_postgres().await;
    let node = stores.start_node().await;
    let wait_for_store = async |store: &str, up: u8| {
        let line = format!("\nlaurel_store_up{{store=\"{store}\"}} {up}\n");
        eventually(&line, async || node.get("/metrics").await.text.contains(&line).then_some(())).await;
    };
    wait_for_store("redis", 1).await;
    wait_for_store("postgres", 1).await;
    postgres.stop().await;
    wait_for_store("postgres", 0).await;
    wait_for_store("redis", 1).await;
    stores.redis.kill().await;
    wait_for_store("redis", 0).await;
    postgres.restart().await;
    wait_for_store("postgres", 1).await;
    stores.redis.restart().await;
    wait_for_store("redis", 1).await;
}

#[tokio::test]
async fn a_redis_that_starts_to_evict_is_reported() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let every = std::time::Duration::from_millis(10);
    let watch = tokio::spawn(laurel::live::watch_eviction_forever(node.app.live.clone(), every));
    let expect_policy = async |policy: &str, degraded: Value, gauge: &str| {
        let _: () = stores.redis_client().await.query(&format!("CONFIG SET maxmemory-policy {policy}")).await;
        eventually(policy, async || {
            let ready = node.get("/readyz").await;
            assert_eq!(ready.status, 200, "reads continue");
            let metrics = node.get("/metrics").await.text;
            (ready.body["degraded"] == degraded && metrics.contains(gauge)).then_some(())
        })
        .await;
    };
    expect_policy("allkeys-lru", json!(["eviction"]), "laurel_redis_evicts 1").await;
    expect_policy("noeviction", json!([]), "laurel_redis_evicts 0").await;
    expect_policy("volatile-ttl", json!(["eviction"]), "laurel_redis_evicts 1").await;
    watch.abort();
}

#[tokio::test]
async fn a_redis_with_eviction_is_refused_at_start() {
    let stores = TestStores::new().await;
    let _: () = stores.redis_client().await.query("CONFIG SET maxmemory-policy allkeys-lru").await;
    let refused = laurel::serve::Node::start(stores.config.clone(), stores.clock.clone()).await;
    let reason = refused.err().unwrap().to_string();
    assert!(reason.contains("allkeys-lru") && reason.contains("noeviction"), "{reason}");
}
