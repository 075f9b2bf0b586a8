//! Redis is loaded from the ledger: at the start, while nodes serve, and after an interrupted load.

use crate::harness::{Player, TestNode, TestStores, assert_ledger_matches, eventually};

/// Starts a node and awards each player once.
async fn start_with_awards(stores: &TestStores, count: u64) -> (TestNode, Vec<Player>) {
    let node = stores.start_node().await;
    let players = node.create_players(count).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    node.wait_for_ledger().await;
    (node, players)
}

#[tokio::test]
async fn an_emptied_redis_is_loaded_from_the_ledger_at_the_start() {
    let mut stores = TestStores::new().await;
    let (node, players) = start_with_awards(&stores, 15).await;
    let board = node.get("/api/v1/scores/leaderboard").await;
    assert_ledger_matches(&stores).await;
    node.stop().await;
    stores.redis.kill().await;
    stores.redis.delete_data();
    stores.redis.restart().await;

    let node = stores.start_node().await;
    let rebuilt = node.get("/api/v1/scores/leaderboard").await;
    assert_eq!(rebuilt.body["leaderboard"], board.body["leaderboard"], "ties keep their order");
    assert!(rebuilt.body["version"].as_i64() > board.body["version"].as_i64());
    assert_ledger_matches(&stores).await;
    node.award(&players[14], "watch_ad").await;
    assert_eq!(node.board().await[0].1, 20);
}

#[tokio::test]
async fn a_rebuild_while_nodes_serve_loses_nothing() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(30).await;
    let awards = async {
        for round in 0..10 {
            for player in &players {
                let response = node.init(player, "watch_ad").await;
                if response.status == 200 {
                    let token = response.body["antiSpamToken"].as_str().unwrap();
                    let response = node.finalize(player, token, serde_json::Value::Null).await;
                    assert!([200, 503].contains(&response.status), "round {round}: {}", response.text);
                }
            }
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            let _: u64 = stores.redis_client().await.query("ZADD leaderboard:global 999999 a-stranger").await;
            laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
        }
    };
    futures::join!(awards, rebuilds);
    assert_ledger_matches(&stores).await;
    eventually("the board to be open again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nodes_that_start_together_load_an_empty_redis_once() {
    let stores = TestStores::new().await;
    let (one, two, three) = futures::join!(stores.start_node(), stores.start_node(), stores.start_node());
    for node in [&one, &two, &three] {
        assert_eq!(node.get("/readyz/awards").await.status, 200);
    }
}

#[tokio::test]
async fn a_redis_emptied_while_nodes_serve_is_loaded() {
    let stores = TestStores::new().await;
    let (node, players) = start_with_awards(&stores, 12).await;
    let board = node.board().await;
    let _: () = stores.redis_client().await.query("FLUSHALL").await;
    // No award is computed from a missing score.
    let token = eventually("the board to be open again", async || {
        let response = node.init(&players[0], "watch_ad").await;
        (response.status == 200).then(|| response.body["antiSpamToken"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!(node.board().await, board);
    let response = node.finalize(&players[0], &token, serde_json::Value::Null).await;
    assert_eq!(response.body["newScore"], 20, "{}", response.text);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_interrupted_load_starts_over() {
    let stores = TestStores::new().await;
    let (node, _) = start_with_awards(&stores, 12).await;
    let board = node.board().await;
    // The state after a leader died between the last step of the load and opening the board.
    let store = &node.app.store;
    let epoch = store.known_epochs();
    let load = store.begin_load(0).await.unwrap();
    while load.empty_some(0, true).await.unwrap() != 0 {}
    let _ = store.refill_top(0, &[], 0, Some(&load)).await.unwrap();
    eventually("the board to be open again", async || {
        let state = store.poll_state().await.ok()?;
        (state.open && store.known_epochs() > epoch).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
    assert_eq!(node.board().await, board);
}

#[tokio::test]
async fn only_the_load_refills_a_closed_board() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    crate::scripts::award(&store, crate::scripts::user(1), 10).await;
    let load = store.begin_load(0).await.unwrap();
    let before = store.poll_shard_state(0).await.unwrap();
    store.refill_top(0, &[], 0, None).await.unwrap();
    let after = store.poll_shard_state(0).await.unwrap();
    assert_eq!(
        (after.hlc_us, after.version),
        (before.hlc_us, before.version),
        "an older copy must not look newer"
    );
    store.refill_top(0, &[], 0, Some(&load)).await.unwrap();
    assert!(store.poll_shard_state(0).await.unwrap().hlc_us > before.hlc_us);
}
