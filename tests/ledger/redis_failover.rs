//! A Redis that was a replica for a while is a master again, with the data of another Redis.

use serde_json::{Value, json};

use super::wait_for_epoch_after;
use crate::harness::{
    Player, TestNode, TestPostgres, TestRedis, TestStores, assert_ledger_matches, eventually,
};

/// Starts an independent Redis with a copy of the data. Returns it and its port. The first replica changes the replication id of a Redis, so the
/// board closes and opens again with the same data.
async fn start_copy(stores: &TestStores) -> (TestRedis, u16) {
    let port = stores.redis_client().await.listen_on_tcp().await;
    let other = TestRedis::start(&stores.folder.path().join("other")).await;
    let mut redis_client = other.redis_client().await;
    redis_client.replicate_from(port).await;
    let _: () = redis_client.query("REPLICAOF NO ONE").await;
    let port = redis_client.listen_on_tcp().await;
    (other, port)
}

/// Replaces the data of Redis by that of the other Redis, as a Sentinel failover and failback do.
async fn fail_over(stores: &TestStores, port: u16) {
    let mut redis_client = stores.redis_client().await;
    redis_client.replicate_from(port).await;
    let _: () = redis_client.query("REPLICAOF NO ONE").await;
}

async fn issue_three_tokens(node: &TestNode, player: &Player) -> Vec<String> {
    let mut tokens = Vec::new();
    for action in ["watch_ad", "solve_puzzle", "complete_level"] {
        tokens.push(node.issue_token(player, action).await);
    }
    tokens
}

#[tokio::test]
async fn tokens_spent_before_a_failover_stay_spent() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    node.award(&ada, "watch_ad").await;
    let tokens = issue_three_tokens(&node, &eve).await;
    let epoch = node.app.store.known_epochs();
    let (_other, port) = start_copy(&stores).await;
    wait_for_epoch_after(&node, epoch).await;
    for token in &tokens {
        assert_eq!(node.finalize(&eve, token, Value::Null).await.status, 200);
    }
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    let epoch = node.app.store.known_epochs();
    fail_over(&stores, port).await;
    // Before the next poll too: this node has received a newer state.
    for token in &tokens {
        assert_ne!(node.finalize(&eve, token, Value::Null).await.status, 200);
    }
    wait_for_epoch_after(&node, epoch).await;
    for token in &tokens {
        node.finalize(&eve, token, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    }
    assert_eq!(node.board().await, [("eve".to_owned(), 45, 1), ("ada".to_owned(), 30, 2)]);
    node.award(&ada, "watch_ad").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn without_postgres_the_board_stays_closed_after_a_failover() {
    let mut stores = TestStores::with_shards(1).await;
    let mut postgres = TestPostgres::start(&stores.folder.path().join("own")).await;
    stores.config.postgres.url = postgres.url.clone().into();
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    let eve = node.register("eve").await;
    let tokens = issue_three_tokens(&node, &eve).await;
    let epoch = node.app.store.known_epochs();
    let (_other, port) = start_copy(&stores).await;
    wait_for_epoch_after(&node, epoch).await;
    node.wait_for_ledger().await;
    postgres.stop().await;
    for token in &tokens {
        assert_eq!(node.finalize(&eve, token, Value::Null).await.status, 200);
    }
    fail_over(&stores, port).await;
    eventually("a poll to find the board closed", async || {
        (!node.app.store.poll_state().await.ok()?.open).then_some(())
    })
    .await;
    for token in &tokens {
        node.finalize(&eve, token, Value::Null).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    }
    let epoch = node.app.store.known_epochs();
    postgres.restart().await;
    wait_for_epoch_after(&node, epoch).await;
    for token in &tokens {
        node.finalize(&eve, token, json!({})).await.assert_refused(401, "INVALID_TOKEN");
    }
    // Only these three awards were lost, by both stores.
    node.award(&eve, "watch_ad").await;
    assert_eq!(node.board().await, [("eve".to_owned(), 10, 1)]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_open_board_behind_the_ledger_is_loaded() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let rebuilds = async || {
        let text = node.get("/metrics").await.text;
        let line =
            text.lines().find_map(|it| it.strip_prefix("laurel_board_rebuilds_total ")).map(str::to_owned);
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = rebuilds().await;
    let epoch = node.app.store.known_epochs();
    let options = laurel::ledger::SeedOptions { users: 200, max_score: 1000, tokens: None };
    for _ in 0..20 {
        futures::join!(node.award(&ada, "watch_ad"), async {
            laurel::ledger::seed(&node.app.ledger, &node.app.accounts.logins, &options, |_| ())
                .await
                .unwrap();
        });
    }
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;
    assert_eq!(
        (rebuilds().await, node.app.store.known_epochs()),
        (before, epoch),
        "the board was never behind"
    );

    eventually("a complete top list", async || {
        node.app.store.poll_state().await.ok()?.top_is_complete.then_some(())
    })
    .await;
    // Later than Redis' clock, not only than the newest entry: a refill of the top list advances the board's clock to the present.
    let later_us = node.app.store.now_us().await.unwrap() + 10_000_000;
    let update =
        format!("UPDATE ledger_heads SET hlc_us = {later_us}; UPDATE board_shards SET hlc_us = {later_us}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(update)).execute(&node.app.database).await.unwrap();
    eventually("the board to be loaded", async || {
        (rebuilds().await > before && node.app.store.poll_state().await.ok()?.open).then_some(())
    })
    .await;
    node.award(&ada, "watch_ad").await;
    assert_ledger_matches(&stores).await;
}
