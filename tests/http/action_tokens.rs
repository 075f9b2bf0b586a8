//! Verified tokens (`act_…`): a proof is checked first, and its token is redeemed later.

use serde_json::{Value, json};

use crate::harness::{TestResponse, TestStores, assert_ledger_matches};

fn act_token(response: &TestResponse) -> String {
    assert_eq!(response.status, 201, "{}", response.text);
    response.body["actionToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_action_is_proved_first_and_redeemed_later() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let ada = nodes[0].register("ada").await;
    let proven = nodes[0].prove(&ada, &json!({ "actionType": "watch_ad" })).await;
    let act = act_token(&proven);
    assert_eq!((&proven.body["actionType"], &proven.body["expiresIn"]), (&json!("watch_ad"), &json!(300)));
    assert!(act.starts_with("act_") && proven.body["expiresAt"].as_str().unwrap().ends_with('Z'));

    let award = nodes[1].redeem(&ada, &json!({ "actionToken": act })).await;
    assert_eq!(
        (award.status, &award.body["success"], &award.body["newScore"]),
        (200, &json!(true), &json!(10))
    );
    assert_eq!(award.body["leaderboard"][0]["username"], "ada");
    nodes[0].redeem(&ada, &json!({ "actionToken": act })).await.assert_refused(409, "TOKEN_ALREADY_USED");

    let refused = nodes[1].prove(&ada, &json!({ "actionId": 2 })).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = refused.header("retry-after").parse().unwrap();
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
    let anti_spam_token = issued.body["antiSpamToken"].as_str().unwrap();
    let empty = node.prove(&ada, &json!({ "actionType": "demo_quiz" })).await;
    empty.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(empty.fields(), ["antiSpamToken", "proof"]);
    let mismatch = json!({ "actionType": "watch_ad", "antiSpamToken": anti_spam_token });
    node.prove(&ada, &mismatch).await.assert_refused(400, "INVALID_ACTION");

    let capital = super::proofs::quiz_answer(issued.body["challenge"]["question"].as_str().unwrap());
    let right = json!({ "antiSpamToken": anti_spam_token, "proof": { "quizResult": capital } });
    let act = act_token(&node.prove(&ada, &right).await);
    node.prove(&ada, &right).await.assert_refused(409, "TOKEN_ALREADY_USED");
    node.finalize(&ada, anti_spam_token, json!({ "quizResult": capital }))
        .await
        .assert_refused(409, "TOKEN_ALREADY_USED");
    assert_eq!(node.redeem(&ada, &json!({ "actionToken": act })).await.body["newScore"], 15);

    let wrong = node.issue_token(&ada, "demo_quiz").await;
    let body = json!({ "antiSpamToken": wrong, "proof": { "quizResult": "Atlantis" } });
    node.prove(&ada, &body).await.assert_refused(422, "PROOF_INVALID");
    node.prove(&ada, &body).await.assert_refused(409, "TOKEN_ALREADY_USED");
    assert_ledger_matches(&stores).await;
    let actions: Vec<(bool, bool, Option<Value>)> = sqlx::query_as(
        "SELECT completed_at IS NOT NULL, refused_at IS NOT NULL, proof_of_work FROM user_action ORDER BY created_at, id",
    )
    .fetch_all(&node.app.database)
    .await
    .unwrap();
    let (right, wrong) = (json!({ "quizResult": capital }), json!({ "quizResult": "Atlantis" }));
    for expected in [(true, false, Some(right)), (false, true, Some(wrong))] {
        assert!(actions.contains(&expected), "{actions:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_user_or_session_is_refused() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.tokens.action_interval_seconds = 0).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let act = act_token(&node.prove(&ada, &json!({ "actionType": "watch_ad" })).await);
    node.redeem(&bob, &json!({ "actionToken": act })).await.assert_refused(401, "INVALID_TOKEN");
    let anti_spam_token = node.issue_token(&ada, "watch_ad").await;
    let stolen = json!({ "antiSpamToken": anti_spam_token });
    node.prove(&bob, &stolen).await.assert_refused(401, "INVALID_TOKEN");
    node.redeem(&ada, &json!({ "actionToken": act, "sessionId": "sess_other" }))
        .await
        .assert_refused(409, "SESSION_MISMATCH");
    node.redeem(&ada, &json!({ "actionToken": "act_hacker123" })).await.assert_refused(401, "INVALID_TOKEN");
    node.redeem(&ada, &json!({})).await.assert_refused(401, "INVALID_TOKEN");
    let unknown = laurel::token::ActToken::new();
    node.redeem(&ada, &json!({ "actionToken": unknown.as_str() })).await.assert_refused(401, "INVALID_TOKEN");

    let game = node.start_game(&ada).await;
    let session = game.body["data"]["sessionId"].as_str().unwrap();
    let bound =
        act_token(&node.prove(&ada, &json!({ "actionType": "watch_ad", "sessionId": session })).await);
    let in_game = json!({ "actionToken": bound, "actionType": "watch_ad", "points": 10 });
    node.update_score(&ada, &in_game).await.assert_refused(401, "INVALID_TOKEN");
    let game_token = game.body["data"]["actionToken"].as_str().unwrap();
    node.redeem(&ada, &json!({ "actionToken": game_token })).await.assert_refused(401, "INVALID_TOKEN");
    let award = node.redeem(&ada, &json!({ "actionToken": bound, "sessionId": session })).await;
    assert_eq!(award.status, 200, "{}", award.text);
    let late = act_token(&node.prove(&ada, &json!({ "actionType": "watch_ad" })).await);
    node.end_game(&ada).await;
    node.redeem(&ada, &json!({ "actionToken": late })).await.assert_refused(404, "TOKEN_NOT_FOUND");
    // A token issued before the game is not bound to its session.
    assert_eq!(node.redeem(&ada, &json!({ "actionToken": act })).await.body["newScore"], 20);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn every_field_is_validated() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut redis_client = stores.redis_client().await;
    let before = redis_client.dump().await;
    let (prove_path, redeem_path) = ("/api/v1/action-tokens", "/api/v1/scores");
    let cases = [
        (prove_path, json!({}), vec!["actionType"]),
        (prove_path, json!({ "actionType": 7 }), vec!["actionType"]),
        (prove_path, json!({ "actionId": "one" }), vec!["actionId"]),
        (prove_path, json!({ "actionType": "watch_ad", "points": 99 }), vec!["points"]),
        (prove_path, json!({ "actionType": "watch_ad", "proof": [] }), vec!["proof"]),
        (prove_path, json!({ "actionType": "watch_ad", "sessionId": 1 }), vec!["sessionId"]),
        (redeem_path, json!({ "actionToken": 1 }), vec!["actionToken"]),
        (redeem_path, json!({ "actionToken": "x", "sessionId": {} }), vec!["sessionId"]),
        (redeem_path, json!({ "actionToken": "x", "points": 99 }), vec!["points"]),
    ];
    for (path, body, fields) in cases {
        let response = node.post(path, &ada.token, &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), fields, "{path} {body}");
    }
    for body in [json!({ "actionType": "nothing" }), json!({ "actionId": 999 })] {
        node.post(prove_path, &ada.token, &body).await.assert_refused(400, "INVALID_ACTION");
    }
    let both = json!({ "actionType": "watch_ad", "actionId": 2 });
    node.post(prove_path, &ada.token, &both).await.assert_refused(400, "INVALID_ACTION");
    node.post(prove_path, "", &json!({})).await.assert_refused(401, "UNAUTHORIZED");
    redis_client.assert_unchanged(&before).await;
}

#[tokio::test]
async fn a_repeated_key_replays_the_response() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let act = act_token(&node.prove(&ada, &json!({ "actionType": "watch_ad" })).await);
    let body = json!({ "actionToken": act });
    let redeem =
        async || node.post_with("/api/v1/scores", &ada.token, &[("idempotency-key", "k")], &body).await;
    let (first, replay) = (redeem().await, redeem().await);
    assert_eq!((first.status, &first.text), (200, &replay.text));
    assert_eq!(replay.header("idempotent-replayed"), "true");
}
