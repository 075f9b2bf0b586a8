//! Awards that are acknowledged when a replica has them. The test creates the replica itself, so it runs on a single Redis.

use serde_json::json;

use crate::harness::{TestRedis, World, assert_verified, eventually};

/// Starts a replica of the world's Redis and waits until it is in sync.
async fn replica(world: &World) -> TestRedis {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut primary = world.redis_client().await;
    for setting in ["bind 127.0.0.1".to_owned(), format!("port {port}")] {
        let _: () = primary.query(&format!("CONFIG SET {setting}")).await;
    }
    let replica = TestRedis::start(&world.folder.path().join("replica")).await;
    let _: () = replica.redis_client().await.query(&format!("REPLICAOF 127.0.0.1 {port}")).await;
    eventually("the replica to be in sync", async || {
        let info: String = replica.redis_client().await.query("INFO replication").await;
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    replica
}

#[tokio::test]
async fn acknowledged_awards_are_on_the_replica() {
    let world = World::with_shards(1).await;
    let replica = replica(&world).await;
    let node = world.node_with(|it| it.redis.wait_replicas = 1).await;
    let players = node.players(10).await;
    let mut redis_client = replica.redis_client().await;
    for round in 1..=5 {
        futures::future::join_all(players.iter().map(|it| node.award(it, "watch_ad"))).await;
        for player in &players {
            let score: u64 = redis_client.query(&format!("GET user:score:{}", player.identity.user)).await;
            assert_eq!(score, round * 10);
        }
    }
    assert_verified(&world).await;
}

#[tokio::test]
async fn awards_without_a_replica_are_not_acknowledged() {
    let world = World::with_shards(1).await;
    let replica = replica(&world).await;
    let node = world
        .node_with(|it| {
            it.redis.wait_replicas = 1;
            it.redis.wait_timeout_ms = 500;
        })
        .await;
    let ada = node.register("ada").await;
    let body = json!({ "antiSpamToken": node.token(&ada, "watch_ad").await });
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
        "the award counts, once"
    );
    assert_eq!(node.init(&ada, "watch_ad").await.status, 200, "other requests do not wait");
    replica.resume();
    let replayed =
        eventually("the retry to be answered", async || Some(finalize().await).filter(|it| it.status != 503))
            .await;
    let is_replayed = replayed.header("idempotent-replayed");
    assert_eq!((replayed.status, is_replayed), (200, "true"), "{}", replayed.text);
    assert_eq!(replayed.body["newScore"], 10);
    assert_verified(&world).await;
}

#[tokio::test]
async fn a_redis_without_replicas_takes_no_award() {
    let world = World::with_shards(1).await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let token = node.token(&ada, "watch_ad").await;
    let mut redis_client = world.redis_client().await;
    let _: () = redis_client.query("CONFIG SET min-replicas-to-write 1").await;
    node.finalize(&ada, &token, json!({})).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    let _: () = redis_client.query("CONFIG SET min-replicas-to-write 0").await;
    assert_eq!(node.finalize(&ada, &token, json!({})).await.body["newScore"], 10);
}
