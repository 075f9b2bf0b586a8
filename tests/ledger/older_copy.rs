//! Redis is replaced by an older copy of its data while nodes serve.

use laurel::admin::{Decision, Restriction, restrict};
use laurel::token::ActToken;
use serde_json::{Value, json};

use super::{append, forged_entry, wait_for_epoch_after};
use crate::harness::{
    DataFile, Player, TestNode, TestStores, assert_ledger_matches, eventually, wait_until_boards_follow,
};
use crate::live::Client;

/// Copies the data of each Redis process.
async fn copy_redis(stores: &mut TestStores) -> Vec<Vec<DataFile>> {
    stores.redis.kill().await;
    let copy = stores.redis.copy_data();
    stores.redis.restart().await;
    copy
}

async fn restore(stores: &mut TestStores, copy: &[Vec<DataFile>]) {
    stores.redis.kill().await;
    stores.redis.restore_data(copy);
    stores.redis.restart().await;
}

#[tokio::test]
async fn an_older_copy_is_loaded_and_used_tokens_stay_used() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let banned = node.register("mallory").await;
    for player in [&ada, &banned] {
        node.award(player, "watch_ad").await;
    }
    let spent = node.issue_token(&ada, "complete_level").await;
    let game = node.post("/api/game/start", &eve.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "watch_ad", "points": 10 });
    let epoch = node.app.store.known_epochs();
    let copy = copy_redis(&mut stores).await;
    wait_for_epoch_after(&node, epoch).await;

    assert_eq!(node.finalize(&ada, &spent, Value::Null).await.body["newScore"], 30);
    assert_eq!(node.post("/api/score/update", &eve.token, &update).await.body["data"]["newScore"], 10);
    node.award(&eve, "complete_level").await;
    // The older copy has her on the boards, and nothing in the ledger's chain says that she is not.
    let operator = Decision { actor: "test".into(), host: None, reason: "cheats".into() };
    restrict(&node.app.admin, banned.identity.user, Restriction::Ban, None, &operator).await.unwrap();
    node.wait_for_ledger().await;
    wait_until_boards_follow(&node.app).await;
    let mut client = Client::connect(&node, &ada).await;
    let both = [("ada".to_owned(), 30, 1), ("eve".to_owned(), 30, 1)];
    client.wait_for_board(&both).await;
    let version = node.get("/api/v1/scores/leaderboard").await.body["version"].as_i64().unwrap();
    let epoch = node.app.store.known_epochs();
    restore(&mut stores, &copy).await;
    wait_for_epoch_after(&node, epoch).await;
    assert_ledger_matches(&stores).await;
    assert_eq!(node.board().await, both);
    assert!(node.app.store.poll_state().await.unwrap().version > version, "versions only increase");
    node.finalize(&ada, &spent, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    node.post("/api/score/update", &eve.token, &update).await.assert_refused(404, "TOKEN_NOT_FOUND");
    node.award(&ada, "watch_ad").await;
    client.wait_for_board(&[("ada".to_owned(), 40, 1), ("eve".to_owned(), 30, 2)]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn entries_only_in_an_older_copy_follow_the_ledger() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let epoch = node.app.store.known_epochs();
    let copy = copy_redis(&mut stores).await;
    wait_for_epoch_after(&node, epoch).await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    node.stop().await;
    restore(&mut stores, &copy).await;
    // An award that only this Redis took, before the ledger continued with another Redis.
    let mut redis_client = stores.redis_client().await;
    let hlc_us: i64 = redis_client.query("HGET shard:state hlc_us").await;
    let award = [("action", "complete_level"), ("points", "20"), ("before", "10"), ("after", "30")];
    append(&mut redis_client, &forged_entry(ada.identity.user, hlc_us + 1, &award)).await;

    let node = stores.start_node().await;
    assert_ledger_matches(&stores).await;
    assert_eq!(node.board().await, [("ada".to_owned(), 40, 1)]);
}

#[tokio::test]
async fn deductions_in_an_older_copy_stop_at_zero() {
    let mut stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    let epoch = node.app.store.known_epochs();
    let copy = copy_redis(&mut stores).await;
    wait_for_epoch_after(&node, epoch).await;
    let user = laurel::admin::find_user(&node.app.admin, "ada").await.unwrap();
    let operator = laurel::admin::Decision { actor: "test".into(), host: None, reason: "less".into() };
    laurel::admin::adjust(&node.app.admin, &user, -15, None, &operator).await.unwrap();
    node.wait_for_ledger().await;
    node.stop().await;
    restore(&mut stores, &copy).await;
    // A deduction of more points than are left. It was not in the ledger yet when Redis lost its data.
    let mut redis_client = stores.redis_client().await;
    let hlc_us: i64 = redis_client.query("HGET shard:state hlc_us").await;
    let deduction = [
        ("kind", "adjusted"),
        ("action", "adjust"),
        ("points", "-10"),
        ("before", "20"),
        ("after", "10"),
        ("token", ""),
        ("proof", "{}"),
    ];
    append(&mut redis_client, &forged_entry(ada.identity.user, hlc_us + 1, &deduction)).await;

    let node = stores.start_node().await;
    assert_eq!(node.board().await, []);
    let changes: Vec<i64> = sqlx::query_scalar("SELECT points_earned FROM score_history ORDER BY seq")
        .fetch_all(&node.app.database)
        .await
        .unwrap();
    assert_eq!(changes, [20, -15, -5], "the last deduction stops at zero");
    node.award(&ada, "watch_ad").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn used_tokens_stay_used_after_a_rebuild_of_an_older_copy() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let used = node.issue_token(&ada, "complete_level").await;
    let epoch = node.app.store.known_epochs();
    let copy = copy_redis(&mut stores).await;
    wait_for_epoch_after(&node, epoch).await;
    assert_eq!(node.finalize(&ada, &used, Value::Null).await.body["newScore"], 30);
    node.wait_for_ledger().await;
    node.stop().await;
    restore(&mut stores, &copy).await;

    laurel::ledger::rebuild(&stores.build_app().await.ledger, |_| ()).await.unwrap();
    let node = stores.start_node().await;
    node.finalize(&ada, &used, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_restarted_redis_keeps_its_tokens() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let before = node.app.store.known_epochs();
    stores.redis.kill().await;
    stores.redis.restart().await;
    let response = eventually("the token to be redeemed", async || {
        let response = node.finalize(&ada, &token, Value::Null).await;
        (response.status != 503).then_some(response)
    })
    .await;
    assert_eq!(response.body["newScore"], 20, "{}", response.text);
    assert!(node.app.store.known_epochs() > before);
    let metrics = node.get("/metrics").await.text;
    let rebuilds = format!("\nlaurel_board_rebuilds_total {}\n", node.app.store.shard_count());
    assert!(metrics.contains(&rebuilds), "each shard was loaded at the start, and not again");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_redis_that_was_left_behind_is_loaded() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    // Nodes continued with another Redis in a later epoch. Only this Redis has the following award.
    let later = "UPDATE ledger_heads SET epoch = epoch + 1; UPDATE board_shards SET epoch = epoch + 1";
    sqlx::raw_sql(later).execute(&node.app.database).await.unwrap();
    let token_hash = ActToken::new().hash();
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query(&format!("SET token:{token_hash} {}", ada.identity.user)).await;
    let _: i64 = redis_client.query(&format!("INCRBY user:score:{} 500", ada.identity.user)).await;
    eventually("the board to be loaded", async || {
        let score: Option<String> =
            stores.redis_client().await.query(&format!("GET user:score:{}", ada.identity.user)).await;
        (score.as_deref() == Some("10")).then_some(())
    })
    .await;
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS token:{token_hash}")).await, 0);
    assert_ledger_matches(&stores).await;
}

/// Copies Redis, spends a token without an award, and restores the copy: the token stays spent.
async fn assert_stays_spent(spend: impl AsyncFn(&TestNode, &Player, &str) -> u16, action: &str, status: u16) {
    let mut stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let token = node.issue_token(&ada, action).await;
    let epoch = node.app.store.known_epochs();
    let copy = copy_redis(&mut stores).await;
    wait_for_epoch_after(&node, epoch).await;
    assert_eq!(spend(&node, &ada, &token).await, status);
    node.wait_for_ledger().await;
    let epoch = node.app.store.known_epochs();
    // A new node has the spent token only from the ledger.
    node.stop().await;
    restore(&mut stores, &copy).await;
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    wait_for_epoch_after(&node, epoch).await;
    assert_eq!(spend(&node, &ada, &token).await, 401);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_copy_without_a_failed_proof_is_older() {
    let fail = async |node: &TestNode, ada: &Player, token: &str| {
        node.finalize(ada, token, json!({ "quizResult": "Atlantis" })).await.status
    };
    assert_stays_spent(fail, "demo_quiz", 422).await;
}

#[tokio::test]
async fn a_copy_without_a_traded_token_is_older() {
    let trade = async |node: &TestNode, ada: &Player, token: &str| {
        node.post("/api/v1/action-tokens", &ada.token, &json!({ "antiSpamToken": token })).await.status
    };
    assert_stays_spent(trade, "watch_ad", 201).await;
}
