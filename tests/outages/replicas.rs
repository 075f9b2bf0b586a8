//! Awards are acknowledged when a replica has them. The tests start the replica, so they run on a single Redis.

use serde_json::json;

use crate::harness::{TestRedis, TestStores, assert_ledger_matches, eventually};

/// Starts a replica of a Redis and waits until it is in sync.
async fn start_replica(stores: &TestStores) -> TestRedis {
    let port = stores.redis_client().await.listen_on_tcp().await;
    let replica = TestRedis::start(&stores.folder.path().join("replica")).await;
    replica.redis_client().await.replicate_from(port).await;
    replica
}

#[tokio::test]
async fn acknowledged_awards_are_on_the_replica() {
    let stores = TestStores::with_shards(1).await;
    let replica = start_replica(&stores).await;
    let node = stores.start_node_with(|it| it.redis.wait_replicas = 1).await;
    let players = node.create_players(10).await;
    let mut redis_client = replica.redis_client().await;
    for round in 1..=5 {
        futures::future::join_all(players.iter().map(|player| node.award(player, "watch_ad"))).await;
        for player in &players {
            let score: u64 = redis_client.query(&format!("GET user:score:{}", player.identity.user)).await;
            assert_eq!(score, round * 10);
        }
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn awards_without_a_replica_are_not_acknowledged() {
    let stores = TestStores::with_shards(1).await;
    let replica = start_replica(&stores).await;
    let node = stores
        .start_node_with(|config| {
            config.redis.wait_replicas = 1;
            config.redis.wait_timeout_ms = 500;
        })
        .await;
    let ada = node.register("ada").await;
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "watch_ad").await });
    let finalize = async || {
        node.post_with("/api/v1/actions/finalize", &ada.token, &[("idempotency-key", "k")], &body).await
    };
    replica.stop();
    for _ in 0..2 {
        let refused = finalize().await;
        refused.assert_refused(503, "SERVICE_UNAVAILABLE");
        assert!(refused.text.contains("awarded but are not yet durable"), "{}", refused.text);
    }
    assert_eq!(
        node.app.store.standing(ada.identity.user).await.unwrap().unwrap().0,
        10,
        "the award counts once"
    );
    assert_eq!(node.init(&ada, "watch_ad").await.status, 200, "other requests do not wait");
    replica.resume();
    let replayed = eventually("the retry to be answered", async || {
        Some(finalize().await).filter(|response| response.status != 503)
    })
    .await;
    let is_replayed = replayed.header("idempotent-replayed");
    assert_eq!((replayed.status, is_replayed), (200, "true"), "{}", replayed.text);
    assert_eq!(replayed.body["newScore"], 10);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_redis_without_replicas_takes_no_award() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query("CONFIG SET min-replicas-to-write 1").await;
    node.finalize(&ada, &token, json!({})).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    let _: () = redis_client.query("CONFIG SET min-replicas-to-write 0").await;
    assert_eq!(node.finalize(&ada, &token, json!({})).await.body["newScore"], 10);
}
