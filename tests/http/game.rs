//! The game API.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

/// Starts a game. Returns its first token.
async fn start(node: &TestNode, player: &Player) -> String {
    let response = node.start_game(player).await;
    assert_eq!(response.status, 200, "{}", response.text);
    response.body["data"]["actionToken"].as_str().unwrap().to_owned()
}

async fn update(node: &TestNode, player: &Player, token: &str, action: &str, points: u64) -> TestResponse {
    node.update_score(player, &json!({ "actionToken": token, "actionType": action, "points": points })).await
}

async fn get_session(node: &TestNode, player: &Player) -> TestResponse {
    node.get_as(player, "/api/game/session").await
}

#[tokio::test]
async fn a_game_from_start_to_end() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let john = node.register("john_doe").await;
    let started = node.start_game(&john).await;
    assert_eq!((started.status, started.body["message"].as_str()), (200, Some("Game session started")));
    let data = &started.body["data"];
    assert_eq!(data["sessionDuration"], 1800);
    assert!(data["sessionId"].as_str().unwrap().starts_with("sess_"));

    let mut token = data["actionToken"].as_str().unwrap().to_owned();
    let mut total = 0;
    for (action, points) in
        [("watch_ad", 10), ("solve_puzzle", 15), ("complete_level", 20), ("daily_bonus", 5)]
    {
        let response = update(&node, &john, &token, action, points).await;
        total += points;
        assert_eq!(response.body["message"], "Score updated successfully", "{}", response.text);
        let award = &response.body["data"];
        assert_eq!(
            (&award["newScore"], &award["pointsEarned"], &award["rank"]),
            (&json!(total), &json!(points), &json!(1))
        );
        assert_eq!(award["expiresAt"], data["expiresAt"], "all tokens of a session expire at once");
        token = award["newActionToken"].as_str().unwrap().to_owned();
        let stored = get_session(&node, &john).await;
        assert_eq!(stored.body["data"]["actionToken"], token, "a reloaded page gets the newest token");
    }
    let ended = node.end_game(&john).await;
    assert_eq!(ended.body["message"], "Game session ended");
    assert_eq!(
        (&ended.body["data"]["finalScore"], &ended.body["data"]["actionsCompleted"]),
        (&json!(50), &json!(4))
    );
    assert!(ended.body["data"]["sessionDuration"].as_u64().unwrap() < 1800);
    update(&node, &john, &token, "watch_ad", 10).await.assert_refused(404, "TOKEN_NOT_FOUND");
    get_session(&node, &john).await.assert_refused(404, "TOKEN_NOT_FOUND");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn six_attempts_to_cheat_are_refused() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.tokens.session_seconds = 5;
            config.limits.updates_per_minute = 20;
        })
        .await;
    let eve = node.register("eve").await;
    let first = start(&node, &eve).await;
    let second = update(&node, &eve, &first, "watch_ad", 10).await;
    let second = second.body["data"]["newActionToken"].as_str().unwrap();
    let try_update = async |token: &str, points: u64| {
        let response = update(&node, &eve, token, "watch_ad", points).await;
        (response.code().to_owned(), response.body["message"].as_str().unwrap().to_owned())
    };
    let refusal = |code: &str, message: &str| (code.to_owned(), message.to_owned());
    assert_eq!(try_update("", 10).await, refusal("INVALID_TOKEN", "No action token provided"));
    assert_eq!(try_update("act_hacker123", 10).await, refusal("INVALID_TOKEN", "Invalid token"));
    assert_eq!(try_update("act_a1b2c3d4e5f6g7h8i9j0", 10).await, refusal("INVALID_TOKEN", "Invalid token"));
    let used = refusal("TOKEN_ALREADY_USED", "Token has been used, use latest token");
    assert_eq!(try_update(&first, 10).await, used);
    assert_eq!(try_update(second, 999).await, refusal("INVALID_POINTS", "Invalid points value"));
    let invalid = update(&node, &eve, second, "print_money", 10).await;
    invalid.assert_refused(400, "INVALID_ACTION");
    let expired = refusal("TOKEN_EXPIRED", "Session expired, please start new game");
    eventually("the session to expire", async || {
        (get_session(&node, &eve).await.code() == "TOKEN_EXPIRED").then_some(())
    })
    .await;
    assert_eq!(try_update(second, 10).await, expired);
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(
            try_update(second, 10).await == refusal("RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
        );
    }
    assert!(refused >= 7, "{refused}");
    assert_eq!(node.board().await, [("eve".to_owned(), 10, 1)]);
}

#[tokio::test]
async fn a_second_start_ends_the_first_session() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.starts_per_hour = 5).await;
    let ada = node.register("ada").await;
    let first = start(&node, &ada).await;
    let second = start(&node, &ada).await;
    update(&node, &ada, &first, "watch_ad", 10).await.assert_refused(409, "SESSION_MISMATCH");
    assert_eq!(update(&node, &ada, &second, "watch_ad", 10).await.status, 200);
    for _ in 2..5 {
        start(&node, &ada).await;
    }
    let refused = node.start_game(&ada).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&retry));
    node.wait_for_ledger().await;
    let sessions: (i64, i64) =
        sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE is_active) FROM game_sessions")
            .fetch_one(&node.app.database)
            .await
            .unwrap();
    assert_eq!(sessions, (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_with_one_token_award_once() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let ada = nodes[0].register("ada").await;
    let token = start(&nodes[0], &ada).await;
    let updates = (0..100).map(|number| update(&nodes[number % 2], &ada, &token, "watch_ad", 10));
    let responses = futures::future::join_all(updates).await;
    let mut outcomes: HashMap<(u16, String), usize> = HashMap::new();
    for response in &responses {
        *outcomes.entry((response.status, response.code().to_owned())).or_default() += 1;
    }
    let expected = HashMap::from([((200, String::new()), 1), ((409, "TOKEN_ALREADY_USED".to_owned()), 99)]);
    assert_eq!(outcomes, expected);
    let award = responses.iter().find(|it| it.status == 200).unwrap();
    let stored = get_session(&nodes[1], &ada).await;
    assert_eq!(stored.body["data"]["actionToken"], award.body["data"]["newActionToken"]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_replay_returns_the_same_next_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let body = json!({ "actionToken": start(&node, &ada).await, "actionType": "watch_ad", "points": 10 });
    let send =
        async || node.post_with("/api/score/update", &ada.token, &[("idempotency-key", "k")], &body).await;
    let (first, replay) = (send().await, send().await);
    assert_eq!((first.status, &first.text), (200, &replay.text));
    assert_eq!(replay.header("idempotent-replayed"), "true");
    let next = first.body["data"]["newActionToken"].as_str().unwrap();
    assert_eq!(update(&node, &ada, next, "watch_ad", 10).await.body["data"]["newScore"], 20);
}

#[tokio::test]
async fn every_field_of_an_update_is_validated() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = start(&node, &ada).await;
    let valid = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    let cases = [
        ("actionToken", json!(7), "actionToken"),
        ("actionType", Value::Null, "actionType"),
        ("actionType", json!(7), "actionType"),
        ("points", Value::Null, "points"),
        ("points", json!("10"), "points"),
        ("points", json!(true), "points"),
        ("points", json!([10]), "points"),
        ("proof", json!("x"), "proof"),
        ("score", json!(1), "score"),
    ];
    for (field, value, reported) in cases {
        let mut body = valid.clone();
        body[field] = value;
        let response = node.update_score(&ada, &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), [reported], "{body}");
    }
    // The game API has no actions with a challenge.
    update(&node, &ada, &token, "demo_quiz", 15).await.assert_refused(400, "INVALID_ACTION");
    assert_eq!(node.update_score(&ada, &valid).await.status, 200);
}
