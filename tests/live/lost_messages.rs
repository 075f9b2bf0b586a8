//! Lost publications and subscriptions, and an outage of Redis.

use laurel::store::{BoardId, Standing};

use super::clients::{Protocol, Subscriber};
use super::{Client, ban};
use crate::harness::{Player, TestNode, TestStores, eventually, rows};

/// Changes the board while the throttle is closed for `window_ms`, without a publication.
async fn change_without_publishing(stores: &TestStores, node: &TestNode, player: &Player, throttle_ms: u64) {
    let user = player.identity.user;
    let shard = node.app.store.shard_number(user);
    node.app.store.add_totals(&[Standing::of(user, 77)]).await.unwrap();
    let _: () = stores
        .redis_client()
        .await
        .query(&format!("SET leaderboard:global:throttle 1 PX {throttle_ms}"))
        .await;
    let change = node
        .app
        .store
        .refill_top(shard, &[format!("77 5 {user} 1 ada").parse().unwrap()], throttle_ms, None)
        .await
        .unwrap();
    assert!(change.flush_due_ms > 0, "the change is not published");
}

#[tokio::test]
async fn a_poll_finds_a_board_whose_publication_was_lost() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut client = Client::connect(&node, &ada).await;
    client.wait_for("leaderboard_updated").await;
    change_without_publishing(&stores, &node, &ada, 600_000).await;
    // As if the change was published and the message was lost.
    let mut redis_client = stores.redis_client().await;
    let version: i64 = redis_client.query("HGET leaderboard:global:state version").await;
    let _: u64 = redis_client.query(&format!("HSET leaderboard:global:state published {version}")).await;
    let event = client.wait_for("leaderboard_updated").await;
    assert_eq!(rows(&event["data"]), [("ada".to_owned(), 77, 1)]);
}

#[tokio::test]
async fn a_starting_node_waits_for_a_throttled_board() {
    let mut stores = TestStores::new().await;
    stores.config.live.publish_interval_ms = 600_000;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    change_without_publishing(&stores, &node, &ada, 600_000).await;
    let second = stores.start_node();
    tokio::pin!(second);
    let mut redis_client = stores.redis_client().await;
    let wait_for_polls = async {
        eventually("the second node to follow the board", async || {
            let mut redis_client = stores.redis_client().await;
            let (_, nodes): (String, u64) = redis_client.query("PUBSUB NUMSUB board:global").await;
            (nodes == 2).then_some(())
        })
        .await;
        let at_ms = node.app.health.last_poll_redis_ms();
        eventually("two seconds of polls", async || {
            (node.app.health.last_poll_redis_ms() > at_ms + 2000).then_some(())
        })
        .await;
    };
    tokio::select! {
        _ = &mut second => panic!("the node started with the empty board"),
        () = wait_for_polls => {}
    }
    let version: i64 = redis_client.query("HGET leaderboard:global:state version").await;
    let _: u64 = redis_client.query(&format!("HSET leaderboard:global:state published {version}")).await;
    let second = second.await;
    let mut client = Client::connect(&second, &ada).await;
    assert_eq!(rows(&client.wait_for("leaderboard_updated").await["data"]), [("ada".to_owned(), 77, 1)]);
}

#[tokio::test]
async fn a_poll_publishes_an_unpublished_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut client = Client::connect(&node, &ada).await;
    client.wait_for("leaderboard_updated").await;
    change_without_publishing(&stores, &node, &ada, 1500).await;
    let event = client.wait_for("leaderboard_updated").await;
    assert_eq!(rows(&event["data"]), [("ada".to_owned(), 77, 1)]);
    // The board was published over Redis, not only on this node.
    let published: i64 = stores.redis_client().await.query("HGET leaderboard:global:state published").await;
    assert_eq!(event["version"], published);
}

#[tokio::test]
async fn the_first_board_of_a_client_is_the_newest_published_one() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let newest = node.app.hub.newest().version + 60_000_000;
    // As if another node had published a board whose message did not arrive here.
    let _: u64 =
        stores.redis_client().await.query(&format!("HSET leaderboard:global:state published {newest}")).await;
    let mut client = Client::connect(&node, &ada).await;
    client.wait_for("connect_success").await;
    node.app.hub.publish(laurel::live::Board { id: BoardId::GLOBAL, version: newest, rows: Vec::new() });
    assert_eq!(client.wait_for("leaderboard_updated").await["version"], newest);
}

#[tokio::test]
async fn lost_subscriptions_are_restored() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut client = Client::connect(&node, &ada).await;
    let channel = format!("personal:{}", ada.identity.user);
    for round in 1..=3 {
        let _: u64 = stores.redis_client().await.query("CLIENT KILL TYPE pubsub").await;
        eventually("both subscriptions to be back", async || {
            let counts: Vec<(String, u64)> =
                stores.redis_client().await.query(&format!("PUBSUB NUMSUB board:global {channel}")).await;
            counts.iter().all(|(_, count)| *count == 1).then_some(())
        })
        .await;
        node.award(&ada, "watch_ad").await;
        assert_eq!(client.wait_for("score_personal").await["data"]["score"], round * 10);
    }
}

#[tokio::test]
async fn clients_get_a_status_event_per_redis_outage_and_boards_after_it() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    node.award(&ada, "watch_ad").await;
    ban(&node, &eve).await;
    let mut client = Client::connect(&node, &ada).await;
    client.wait_for("leaderboard_updated").await;
    let mut watcher = Subscriber::open_boards(&node.base, Protocol::WebSocket, &ada.token, &["weekly"]).await;
    watcher.wait_for_entries("weekly", &[("ada", 10, 1)]).await;
    stores.redis.kill().await;
    let status = client.wait_for("status").await;
    assert_eq!(status["data"]["degraded"], true);
    assert_eq!(node.get("/api/v1/scores/leaderboard").await.status, 200, "reads still work");
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &serde_json::json!(["redis"])));
    assert_eq!(node.get("/readyz/awards").await.status, 503);
    let refused = node.init(&ada, "watch_ad").await;
    refused.assert_refused(503, "SERVICE_UNAVAILABLE");
    // New clients get the node's board. Bans cannot be checked during the outage.
    let mut banned = Client::connect(&node, &eve).await;
    banned.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;

    stores.redis.restart().await;
    while banned.next().await.is_some() {}
    assert_eq!(banned.closed, Some(4401), "the ban is read after the outage");
    let status = client.wait_for("status").await;
    assert_eq!(status["data"]["degraded"], false);
    eventually("awards to succeed again", async || {
        (node.init(&ada, "watch_ad").await.status == 200).then_some(())
    })
    .await;
    node.award(&ada, "watch_ad").await;
    client.wait_for_board(&[("ada".to_owned(), 20, 1)]).await;
    watcher.wait_for_entries("weekly", &[("ada", 20, 1)]).await;
}
