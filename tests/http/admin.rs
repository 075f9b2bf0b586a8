//! Bans, quarantine, voids and adjustments over the admin API.

use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};
use crate::live::client::Client;

/// Registers a player with the admin role.
pub async fn create_admin(node: &TestNode) -> Player {
    let root = node.register("root").await;
    let user = laurel::admin::find_user(&node.app.admin, "root").await.unwrap();
    let decision =
        laurel::admin::Decision { actor: "test".into(), host: None, reason: "an admin is needed".into() };
    laurel::admin::grant(&node.app.admin, &user, true, &decision).await.unwrap();
    root
}

async fn post(node: &TestNode, root: &Player, user: &str, operation: &str, body: &Value) -> TestResponse {
    node.post(&format!("/api/admin/users/{user}/{operation}"), &root.token, body).await
}

/// Posts an operation and expects that it succeeds.
pub async fn apply(node: &TestNode, root: &Player, user: &str, operation: &str) -> TestResponse {
    let response = post(node, root, user, operation, &json!({ "reason": "because" })).await;
    assert_eq!(response.status, 200, "{}", response.text);
    response
}

/// The board's rows as (username, score).
pub async fn scores(node: &TestNode) -> Vec<(String, u64)> {
    node.board().await.into_iter().map(|(name, score, _)| (name, score)).collect()
}

#[tokio::test]
async fn only_admins_may_use_admin_endpoints() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let reason = json!({ "reason": "x" });
    let on_users = ["ban", "unban", "quarantine", "approve", "void", "adjust"]
        .map(|operation| format!("users/ada/{operation}"));
    let on_letters = ["retry", "discard"].map(|operation| format!("dead-letters/1/{operation}"));
    for operation in on_users.into_iter().chain(on_letters) {
        let path = format!("/api/admin/{operation}");
        node.post(&path, "", &reason).await.assert_refused(401, "UNAUTHORIZED");
        node.post(&path, &ada.token, &reason).await.assert_refused(403, "FORBIDDEN");
    }
    for path in ["suspects", "audit", "users/ada", "dead-letters"] {
        node.get_as(&ada, &format!("/api/admin/{path}")).await.assert_refused(403, "FORBIDDEN");
    }
    // The role in Postgres counts, not the login's claim, so revoking it takes effect at once.
    let root = create_admin(&node).await;
    apply(&node, &root, "ada", "ban").await;
    let user = laurel::admin::find_user(&node.app.admin, "root").await.unwrap();
    let decision = laurel::admin::Decision { actor: "test".into(), host: None, reason: "has left".into() };
    laurel::admin::grant(&node.app.admin, &user, false, &decision).await.unwrap();
    post(&node, &root, "ada", "unban", &reason).await.assert_refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_ban_applies_to_every_node_and_an_unban_restores_the_score() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let root = create_admin(&nodes[0]).await;
    let (ada, bob) = (nodes[0].register("ada").await, nodes[0].register("bob").await);
    nodes[0].award(&ada, "complete_level").await;
    nodes[0].award(&bob, "watch_ad").await;
    let token = nodes[1].issue_token(&ada, "watch_ad").await;
    let mut sockets = [Client::connect(&nodes[0], &ada).await, Client::connect(&nodes[1], &ada).await];
    let mut subscriber = Client::connect(&nodes[1], &bob).await;
    subscriber.wait_for_board(&[("ada".to_owned(), 20, 1), ("bob".to_owned(), 10, 2)]).await;

    apply(&nodes[0], &root, "ada", "ban").await;
    subscriber.wait_for_board(&[("bob".to_owned(), 10, 1)]).await;
    for socket in &mut sockets {
        while socket.next().await.is_some() {}
        assert_eq!(socket.closed, Some(4401));
    }
    for node in &nodes {
        node.finalize(&ada, &token, Value::Null).await.assert_refused(403, "FORBIDDEN");
        node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
        node.start_game(&ada).await.assert_refused(403, "FORBIDDEN");
        let prove = json!({ "actionType": "watch_ad" });
        node.prove(&ada, &prove).await.assert_refused(403, "FORBIDDEN");
        assert!(Client::try_connect(node, &ada).await.is_err(), "a banned player opens no socket");
    }
    let login = json!({ "username": "ada", "password": "correct horse" });
    nodes[1].post("/api/auth/login", "", &login).await.assert_refused(403, "FORBIDDEN");
    assert_ledger_matches(&stores).await;

    apply(&nodes[1], &root, "ada", "unban").await;
    subscriber.wait_for_board(&[("ada".to_owned(), 20, 1), ("bob".to_owned(), 10, 2)]).await;
    assert_eq!(nodes[0].award(&ada, "watch_ad").await.body["newScore"], 30);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn rank_eleven_moves_up_after_a_ban() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let players = node.create_players(13).await;
    for (index, player) in players.iter().enumerate() {
        for _ in 0..=index / 3 {
            node.award(player, "watch_ad").await;
        }
    }
    node.wait_for_ledger().await;
    let name = |index: usize| players[index].identity.username.clone();
    // Player 12 has 50; 9, 10, 11 have 40; 6, 7, 8 have 30; 3, 4, 5 have 20. Who reached a score first ranks first.
    let names = |order: &[usize]| order.iter().map(|index| name(*index)).collect::<Vec<_>>();
    let board = async || node.board().await.into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(board().await, names(&[12, 9, 10, 11, 6, 7, 8, 3, 4, 5]));
    apply(&node, &root, &name(10), "ban").await;
    eventually("the first of the tied players to move up", async || {
        (board().await == names(&[12, 9, 11, 6, 7, 8, 3, 4, 5, 0])).then_some(())
    })
    .await;
    apply(&node, &root, &name(10), "unban").await;
    eventually("the order before the ban", async || {
        (board().await == names(&[12, 9, 10, 11, 6, 7, 8, 3, 4, 5])).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_quarantined_users_points_are_hidden_until_approved_or_voided() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "complete_level").await;
    apply(&node, &root, "ada", "quarantine").await;
    let held = node.award(&ada, "complete_level").await;
    assert_eq!(
        (&held.body["newScore"], &held.body["rank"]),
        (&json!(30), &json!(1)),
        "the player gets the usual response"
    );
    let before = [("bob".to_owned(), 20), ("ada".to_owned(), 10)];
    assert_eq!(scores(&node).await, before);
    assert_ledger_matches(&stores).await;
    let adjust = json!({ "points": 1, "reason": "x" });
    post(&node, &root, "ada", "adjust", &adjust).await.assert_refused(400, "VALIDATION_ERROR");

    apply(&node, &root, "ada", "approve").await;
    eventually("the held points to be shown", async || {
        (scores(&node).await == [("ada".to_owned(), 30), ("bob".to_owned(), 20)]).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;

    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    let voided = post(&node, &root, "ada", "void", &json!({ "reason": "a bot" })).await;
    assert_eq!(
        (&voided.body["data"]["scoreBefore"], &voided.body["data"]["newScore"]),
        (&json!(50), &json!(30)),
        "{}",
        voided.text
    );
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 40);
    assert_eq!(scores(&node).await[0], ("ada".to_owned(), 40));
    assert_ledger_matches(&stores).await;
    let entries: Vec<(String, i64, Value)> =
        sqlx::query_as("SELECT action_type, points_earned, note FROM score_history WHERE note IS NOT NULL")
            .fetch_all(&node.app.database)
            .await
            .unwrap();
    assert_eq!(entries, [("void".to_owned(), -20, json!({ "actor": "root", "reason": "a bot" }))]);
}

#[tokio::test]
async fn a_void_keeps_the_rank_among_ties() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "watch_ad").await;
    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "watch_ad").await;
    apply(&node, &root, "ada", "void").await;
    let expected = [("ada".to_owned(), 10), ("bob".to_owned(), 10)];
    assert_eq!(scores(&node).await, expected);
    node.wait_for_ledger().await;
    for operation in ["ban", "unban"] {
        apply(&node, &root, "ada", operation).await;
    }
    assert_eq!(scores(&node).await, expected, "the order of ties comes from the ledger");
}

#[tokio::test]
async fn an_adjustment_is_one_entry_with_actor_and_reason() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let path = format!("/api/admin/users/{}/adjust", ada.identity.number);
    let body = json!({ "points": -4, "reason": "a bug paid too much" });
    let adjust = async || node.post_with(&path, &root.token, &[("idempotency-key", "k")], &body).await;
    let first = adjust().await;
    assert_eq!(
        (&first.body["data"]["newScore"], &first.body["data"]["scoreBefore"]),
        (&json!(6), &json!(10))
    );
    assert_eq!(adjust().await.body["data"], first.body["data"], "a repeat replays the response");
    node.wait_for_ledger().await;
    // Redis stores the event for a day, the ledger forever.
    let event = first.body["data"]["eventId"].as_str().unwrap();
    let _: () = stores.redis_client().await.query(&format!("DEL once:{event}")).await;
    assert_eq!(adjust().await.body["data"], first.body["data"]);
    let mismatch = json!({ "points": -5, "reason": "another" });
    let reused = node.post_with(&path, &root.token, &[("idempotency-key", "k")], &mismatch).await;
    reused.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    assert_eq!(scores(&node).await, [("ada".to_owned(), 6)]);
    for (body, field) in [
        (json!({ "points": -7, "reason": "x" }), "points"),
        (json!({ "points": 0, "reason": "x" }), "points"),
        (json!({ "points": 1.5, "reason": "x" }), "points"),
        (json!({ "points": 1 }), "reason"),
        (json!({ "points": 1, "reason": " " }), "reason"),
    ] {
        let response = post(&node, &root, "ada", "adjust", &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), [field]);
    }
    post(&node, &root, "nobody", "ban", &json!({ "reason": "x" }))
        .await
        .assert_refused(404, "USER_NOT_FOUND");
    post(&node, &root, "ada", "void", &json!({ "reason": "x" }))
        .await
        .assert_refused(400, "VALIDATION_ERROR");
    assert_ledger_matches(&stores).await;
    let audit = node.get_as(&root, "/api/admin/audit").await;
    let entries = audit.body["data"].as_array().unwrap();
    let summary = |entry: &Value| ["actor", "action", "username", "reason"].map(|name| entry[name].clone());
    let refused: Vec<_> =
        entries.iter().map(|it| &it["detail"]["refused"]).filter(|it| !it.is_null()).collect();
    assert_eq!(refused, ["not_quarantined", "out_of_range"], "the audit log lists refused operations");
    let (first, adjustment) =
        (&entries[2], ["root", "adjust", "ada", "a bug paid too much"].map(Value::from));
    assert_eq!(
        (summary(first), &first["detail"]),
        (adjustment, &json!({ "points": -4, "before": 10, "after": 6 }))
    );
}

#[tokio::test]
async fn restrictions_survive_an_emptied_redis() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "complete_level").await;
    node.award(&bob, "watch_ad").await;
    apply(&node, &root, "ada", "ban").await;
    apply(&node, &root, "bob", "quarantine").await;
    node.award(&bob, "watch_ad").await;
    node.award(&root, "daily_bonus").await;
    node.wait_for_ledger().await;
    node.stop().await;
    stores.redis.kill().await;
    stores.redis.delete_data();
    stores.redis.restart().await;
    let node = stores.start_node().await;
    assert_eq!(scores(&node).await, [("bob".to_owned(), 10), ("root".to_owned(), 5)]);
    node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
    node.init(&root, "daily_bonus").await.assert_refused(429, "ACTION_LIMIT_REACHED");
    assert_eq!(node.award(&bob, "watch_ad").await.body["newScore"], 30);
    assert_eq!(scores(&node).await, [("bob".to_owned(), 10), ("root".to_owned(), 5)]);
    assert_ledger_matches(&stores).await;
    apply(&node, &root, "bob", "approve").await;
    apply(&node, &root, "ada", "unban").await;
    eventually("both players to be shown", async || {
        (scores(&node).await == [("bob".to_owned(), 30), ("ada".to_owned(), 20), ("root".to_owned(), 5)])
            .then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
}
