use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

async fn prove(node: &TestNode, player: &Player, body: Value) -> TestResponse {
    node.post("/api/v1/action-tokens", &player.token, &body).await
}

async fn redeem(node: &TestNode, player: &Player, body: Value) -> TestResponse {
    node.post("/api/v1/scores", &player.token, &body).await
}

fn token(answer: &TestResponse) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.body["actionToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_action_is_proved_first_and_redeemed_later() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let ada = nodes[0].register("ada").await;
    let proven = prove(&nodes[0], &ada, json!({ "actionType": "watch_ad" })).await;
    let act = token(&proven);
    assert_eq!((&proven.body["actionType"], &proven.body["expiresIn"]), (&json!("watch_ad"), &json!(300)));
    assert!(act.starts_with("act_") && proven.body["expiresAt"].as_str().unwrap().ends_with('Z'));

    let won = redeem(&nodes[1], &ada, json!({ "actionToken": act })).await;
    assert_eq!((won.status, &won.body["success"], &won.body["newScore"]), (200, &json!(true), &json!(10)));
    assert_eq!(won.body["leaderboard"][0]["username"], "ada");
    redeem(&nodes[0], &ada, json!({ "actionToken": act })).await.assert_refused(409, "TOKEN_ALREADY_USED");

    let soon = prove(&nodes[1], &ada, json!({ "actionId": 2 })).await;
    soon.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = soon.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&retry));
    assert_ledger_matches(&stores).await;
    let rows: Vec<(bool, bool, Option<String>, String)> = sqlx::query_as(
        "SELECT is_active, used_at IS NOT NULL, session_id, action_type FROM action_tokens WHERE action_token_hash = $1",
    )
    .bind(laurel::crypto::sha256_hex(&[act.as_bytes()]))
    .fetch_all(&nodes[0].app.database)
    .await
    .unwrap();
    assert_eq!(rows, [(false, true, None, "watch_ad".to_owned())]);
}

#[tokio::test]
async fn a_challenge_of_init_is_accepted() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.tokens.action_interval_seconds = 0).await;
    let ada = node.register("ada").await;
    let issued = node.init(&ada, "demo_quiz").await;
    let asked = issued.body["antiSpamToken"].as_str().unwrap();
    let nothing = prove(&node, &ada, json!({ "actionType": "demo_quiz" })).await;
    nothing.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(nothing.fields(), ["antiSpamToken", "proof"]);
    let other = json!({ "actionType": "watch_ad", "antiSpamToken": asked });
    prove(&node, &ada, other).await.assert_refused(400, "INVALID_ACTION");

    let answers = super::proofs::answer(issued.body["challenge"]["question"].as_str().unwrap());
    let right = json!({ "antiSpamToken": asked, "proof": { "quizResult": answers } });
    let act = token(&prove(&node, &ada, right.clone()).await);
    prove(&node, &ada, right).await.assert_refused(409, "TOKEN_ALREADY_USED");
    node.finalize(&ada, asked, json!({ "quizResult": answers }))
        .await
        .assert_refused(409, "TOKEN_ALREADY_USED");
    assert_eq!(redeem(&node, &ada, json!({ "actionToken": act })).await.body["newScore"], 15);

    let wrong = node.issue_token(&ada, "demo_quiz").await;
    let body = json!({ "antiSpamToken": wrong, "proof": { "quizResult": "Atlantis" } });
    prove(&node, &ada, body.clone()).await.assert_refused(422, "PROOF_INVALID");
    prove(&node, &ada, body).await.assert_refused(409, "TOKEN_ALREADY_USED");
    assert_ledger_matches(&stores).await;
    let attempts: Vec<(bool, bool, Option<Value>)> = sqlx::query_as(
        "SELECT completed_at IS NOT NULL, refused_at IS NOT NULL, proof_of_work FROM user_action ORDER BY created_at, id",
    )
    .fetch_all(&node.app.database)
    .await
    .unwrap();
    let (proof, failed) = (json!({ "quizResult": answers }), json!({ "quizResult": "Atlantis" }));
    for wanted in [(true, false, Some(proof)), (false, true, Some(failed))] {
        assert!(attempts.contains(&wanted), "{attempts:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_user_or_session_is_refused() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.tokens.action_interval_seconds = 0).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let act = token(&prove(&node, &ada, json!({ "actionType": "watch_ad" })).await);
    redeem(&node, &bob, json!({ "actionToken": act })).await.assert_refused(401, "INVALID_TOKEN");
    let asked = node.issue_token(&ada, "watch_ad").await;
    let stolen = json!({ "antiSpamToken": asked });
    prove(&node, &bob, stolen).await.assert_refused(401, "INVALID_TOKEN");
    redeem(&node, &ada, json!({ "actionToken": act, "sessionId": "sess_other" }))
        .await
        .assert_refused(409, "SESSION_MISMATCH");
    redeem(&node, &ada, json!({ "actionToken": "act_hacker123" })).await.assert_refused(401, "INVALID_TOKEN");
    redeem(&node, &ada, json!({})).await.assert_refused(401, "INVALID_TOKEN");
    let unknown = laurel::token::ActToken::new();
    redeem(&node, &ada, json!({ "actionToken": unknown.as_str() }))
        .await
        .assert_refused(401, "INVALID_TOKEN");

    let game = node.post("/api/game/start", &ada.token, &json!({})).await;
    let session = game.body["data"]["sessionId"].as_str().unwrap();
    let bound = token(&prove(&node, &ada, json!({ "actionType": "watch_ad", "sessionId": session })).await);
    let in_game = json!({ "actionToken": bound, "actionType": "watch_ad", "points": 10 });
    node.post("/api/score/update", &ada.token, &in_game).await.assert_refused(401, "INVALID_TOKEN");
    let game_token = game.body["data"]["actionToken"].as_str().unwrap();
    redeem(&node, &ada, json!({ "actionToken": game_token })).await.assert_refused(401, "INVALID_TOKEN");
    let won = redeem(&node, &ada, json!({ "actionToken": bound, "sessionId": session })).await;
    assert_eq!(won.status, 200, "{}", won.text);
    let late = token(&prove(&node, &ada, json!({ "actionType": "watch_ad" })).await);
    node.post("/api/game/end", &ada.token, &json!({})).await;
    redeem(&node, &ada, json!({ "actionToken": late })).await.assert_refused(404, "TOKEN_NOT_FOUND");
    // A token issued before the game is not bound to its session.
    assert_eq!(redeem(&node, &ada, json!({ "actionToken": act })).await.body["newScore"], 20);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn every_field_is_validated() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut redis_client = stores.redis_client().await;
    let before = redis_client.dump().await;
    let (prove, redeem) = ("/api/v1/action-tokens", "/api/v1/scores");
    let cases = [
        (prove, json!({}), vec!["actionType"]),
        (prove, json!({ "actionType": 7 }), vec!["actionType"]),
        (prove, json!({ "actionId": "one" }), vec!["actionId"]),
        (prove, json!({ "actionType": "watch_ad", "points": 99 }), vec!["points"]),
        (prove, json!({ "actionType": "watch_ad", "proof": [] }), vec!["proof"]),
        (prove, json!({ "actionType": "watch_ad", "sessionId": 1 }), vec!["sessionId"]),
        (redeem, json!({ "actionToken": 1 }), vec!["actionToken"]),
        (redeem, json!({ "actionToken": "x", "sessionId": {} }), vec!["sessionId"]),
        (redeem, json!({ "actionToken": "x", "points": 99 }), vec!["points"]),
    ];
    for (path, body, fields) in cases {
        let answer = node.post(path, &ada.token, &body).await;
        answer.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(answer.fields(), fields, "{path} {body}");
    }
    for body in [json!({ "actionType": "nothing" }), json!({ "actionId": 999 })] {
        node.post(prove, &ada.token, &body).await.assert_refused(400, "INVALID_ACTION");
    }
    let both = json!({ "actionType": "watch_ad", "actionId": 2 });
    node.post(prove, &ada.token, &both).await.assert_refused(400, "INVALID_ACTION");
    node.post(prove, "", &json!({})).await.assert_refused(401, "UNAUTHORIZED");
    redis_client.assert_unchanged(&before).await;
}

#[tokio::test]
async fn a_repeated_key_replays_the_response() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let act = token(&prove(&node, &ada, json!({ "actionType": "watch_ad" })).await);
    let body = json!({ "actionToken": act });
    let send =
        async || node.post_with("/api/v1/scores", &ada.token, &[("idempotency-key", "k")], &body).await;
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, &first.text), (200, &again.text));
    assert_eq!(again.header("idempotent-replayed"), "true");
}
