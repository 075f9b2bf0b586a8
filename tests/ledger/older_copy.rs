//! Redis is replaced by an older copy of its data while nodes serve.

use laurel::token::ActToken;
use serde_json::{Value, json};

use super::{append, forged_entry};
use crate::harness::{DataFile, Player, TestNode, TestStores, assert_ledger_matches, eventually};
use crate::live::Client;

/// The current data of each Redis process.
async fn copy_of(stores: &mut TestStores) -> Vec<Vec<DataFile>> {
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

/// Waits until the board is open in a later epoch.
async fn opened_after(node: &TestNode, epoch: i64) {
    eventually("the board to be open again", async || {
        let redis_client = node.app.store.poll_state().await.ok()?;
        (redis_client.open && node.app.store.known_epochs() > epoch).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_older_copy_is_loaded_and_used_tokens_stay_used() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    node.award(&ada, "watch_ad").await;
    let spent = node.issue_token(&ada, "complete_level").await;
    let game = node.post("/api/game/start", &eve.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "watch_ad", "points": 10 });
    let epoch = node.app.store.known_epochs();
    let copy = copy_of(&mut stores).await;
    opened_after(&node, epoch).await;

    assert_eq!(node.finalize(&ada, &spent, Value::Null).await.body["newScore"], 30);
    assert_eq!(node.post("/api/score/update", &eve.token, &update).await.body["data"]["newScore"], 10);
    node.award(&eve, "complete_level").await;
    node.wait_for_ledger().await;
    let mut client = Client::connect(&node, &ada).await;
    let both = [("ada".to_owned(), 30, 1), ("eve".to_owned(), 30, 1)];
    client.wait_for_board(&both).await;
    let shown = node.get("/api/v1/scores/leaderboard").await.body["version"].as_i64().unwrap();
    let epoch = node.app.store.known_epochs();
    restore(&mut stores, &copy).await;
    opened_after(&node, epoch).await;
    assert_ledger_matches(&stores).await;
    assert_eq!(node.board().await, both);
    assert!(node.app.store.poll_state().await.unwrap().version > shown, "a board never steps back");
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
    let copy = copy_of(&mut stores).await;
    opened_after(&node, epoch).await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    node.stop().await;
    restore(&mut stores, &copy).await;
    // An award that reached only this Redis before the ledger continued with another one.
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
    let copy = copy_of(&mut stores).await;
    opened_after(&node, epoch).await;
    let user = laurel::admin::find_user(&node.app.admin, "ada").await.unwrap();
    let operator = laurel::admin::Decision { actor: "test".into(), host: None, reason: "less".into() };
    laurel::admin::adjust(&node.app.admin, &user, -15, None, &operator).await.unwrap();
    node.wait_for_ledger().await;
    node.stop().await;
    restore(&mut stores, &copy).await;
    // An admin deducted more than is left by now. The entry was not in the ledger yet when Redis was lost.
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
    let moved: Vec<i64> = sqlx::query_scalar("SELECT points_earned FROM score_history ORDER BY seq")
        .fetch_all(&node.app.database)
        .await
        .unwrap();
    assert_eq!(moved, [20, -15, -5], "the actual changes");
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
    let copy = copy_of(&mut stores).await;
    opened_after(&node, epoch).await;
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
async fn a_restarted_redis_without_losses_is_opened_and_keeps_its_tokens() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let before = node.app.store.known_epochs();
    stores.redis.kill().await;
    stores.redis.restart().await;
    let answer = eventually("the token to be redeemed", async || {
        let answer = node.finalize(&ada, &token, Value::Null).await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.body["newScore"], 20, "{}", answer.text);
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
    // Nodes continued with another Redis in a later epoch. This one took awards that nobody else saw.
    let later = "UPDATE ledger_heads SET epoch = epoch + 1; UPDATE board_shards SET epoch = epoch + 1";
    sqlx::raw_sql(later).execute(&node.app.database).await.unwrap();
    let stray = ActToken::new().hash();
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query(&format!("SET token:{stray} {}", ada.identity.user)).await;
    let _: i64 = redis_client.query(&format!("INCRBY user:score:{} 500", ada.identity.user)).await;
    eventually("the board to be loaded", async || {
        let own: Option<String> =
            stores.redis_client().await.query(&format!("GET user:score:{}", ada.identity.user)).await;
        (own.as_deref() == Some("10")).then_some(())
    })
    .await;
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS token:{stray}")).await, 0);
    assert_ledger_matches(&stores).await;
}

/// Spends a token without an award after Redis was copied, then restores the copy.
async fn spent_for_nothing(spend: impl AsyncFn(&TestNode, &Player, &str) -> u16, action: &str, first: u16) {
    let mut stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let token = node.issue_token(&ada, action).await;
    let epoch = node.app.store.known_epochs();
    let copy = copy_of(&mut stores).await;
    opened_after(&node, epoch).await;
    assert_eq!(spend(&node, &ada, &token).await, first);
    node.wait_for_ledger().await;
    let epoch = node.app.store.known_epochs();
    // A new node knows it only from the ledger.
    node.stop().await;
    restore(&mut stores, &copy).await;
    let node = stores.start_node_with(|it| it.tokens.anti_spam_seconds = 600).await;
    opened_after(&node, epoch).await;
    assert_eq!(spend(&node, &ada, &token).await, 401);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_copy_that_lacks_only_a_failed_proof_is_older() {
    let guess = async |node: &TestNode, ada: &Player, token: &str| {
        node.finalize(ada, token, json!({ "quizResult": "Atlantis" })).await.status
    };
    spent_for_nothing(guess, "demo_quiz", 422).await;
}

#[tokio::test]
async fn a_copy_that_lacks_only_a_traded_token_is_older() {
    let trade = async |node: &TestNode, ada: &Player, token: &str| {
        node.post("/api/v1/action-tokens", &ada.token, &json!({ "antiSpamToken": token })).await.status
    };
    spent_for_nothing(trade, "watch_ad", 201).await;
}
