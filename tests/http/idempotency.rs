//! Repeats of a request with the same `Idempotency-Key`.

use serde_json::{Value, json};

use laurel::award::{Credential, RedeemRequest};
use laurel::store::IdempotencyKey;

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

async fn finalize(node: &TestNode, player: &Player, key: &str, body: &Value) -> TestResponse {
    node.post_with("/api/v1/actions/finalize", &player.token, &[("idempotency-key", key)], body).await
}

#[tokio::test]
async fn a_repeat_replays_the_response_on_any_node() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let (ada, bob) = (one.register("ada").await, one.register("bob").await);
    let body = json!({ "antiSpamToken": one.issue_token(&ada, "watch_ad").await });
    let first = finalize(&one, &ada, "key-1", &body).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
    one.award(&bob, "complete_level").await;
    for node in [&one, &two] {
        let replay = finalize(node, &ada, "key-1", &body).await;
        assert_eq!((replay.status, replay.text.as_str()), (200, first.text.as_str()));
        assert_eq!(replay.header("idempotent-replayed"), "true");
    }
    let without_key = one.post("/api/v1/actions/finalize", &ada.token, &body).await;
    without_key.assert_refused(409, "TOKEN_ALREADY_USED");
    let other = json!({ "antiSpamToken": one.issue_token(&ada, "watch_ad").await });
    finalize(&two, &ada, "key-1", &other).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    // Keys are per user.
    let body_of_bob = json!({ "antiSpamToken": one.issue_token(&bob, "watch_ad").await });
    assert_eq!(finalize(&two, &bob, "key-1", &body_of_bob).await.status, 200);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn bodies_are_compared_as_json() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let started = node.start_game(&ada).await;
    let token = &started.body["data"]["actionToken"];
    let send = async |body: String| {
        let bearer = format!("Bearer {}", ada.token);
        let headers =
            [("authorization", &*bearer), ("content-type", "application/json"), ("idempotency-key", "k")];
        node.send(reqwest::Method::POST, "/api/score/update", &headers, body.into_bytes()).await
    };
    let first = send(format!("{{\"actionToken\":{token},\"actionType\":\"watch_ad\",\"points\":10}}")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", first.text);
    for points in ["10", "10.0", "1e1"] {
        let body =
            format!(" {{\n\"points\": {points}, \"actionType\": \"watch_ad\", \"actionToken\": {token} }}");
        let replay = send(body).await;
        assert_eq!((replay.status, replay.text.as_str()), (200, first.text.as_str()), "{points}");
        assert_eq!(replay.header("idempotent-replayed"), "true");
    }
    let other =
        send(format!("{{\"actionToken\":{token},\"actionType\":\"watch_ad\",\"points\":10,\"proof\":{{}}}}"))
            .await;
    other.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_failed_proof_is_replayed() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "demo_quiz").await, "proof": { "quizResult": "Atlantis" } });
    let first = finalize(&node, &ada, "k", &body).await;
    first.assert_refused(422, "PROOF_INVALID");
    let replay = finalize(&node, &ada, "k", &body).await;
    assert_eq!((replay.status, replay.text.as_str()), (422, first.text.as_str()));
    assert_eq!(replay.header("idempotent-replayed"), "true");
}

async fn prove(node: &TestNode, player: &Player, key: &str, body: &Value) -> TestResponse {
    node.post_with("/api/v1/action-tokens", &player.token, &[("idempotency-key", key)], body).await
}

/// A client that lost the response gets its token from any node.
#[tokio::test]
async fn a_proven_token_is_replayed_on_any_node() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let (ada, bob) = (one.register("ada").await, one.register("bob").await);
    let with_init = json!({ "antiSpamToken": one.issue_token(&ada, "watch_ad").await });
    let without_init = json!({ "actionType": "complete_level" });
    // A user gets one proven token in 30 s, so each player has one.
    for (player, key, body) in [(&ada, "k1", &with_init), (&bob, "k2", &without_init)] {
        let first = prove(&one, player, key, body).await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""), "{}", first.text);
        for node in [&one, &two] {
            let replay = prove(node, player, key, body).await;
            assert_eq!((replay.status, replay.text.as_str()), (201, first.text.as_str()));
            assert_eq!(replay.header("idempotent-replayed"), "true");
        }
        let redeem = json!({ "actionToken": first.body["actionToken"] });
        assert_eq!(two.redeem(player, &redeem).await.status, 200);
        prove(&two, player, key, &json!({ "actionType": "watch_ad" }))
            .await
            .assert_refused(409, "IDEMPOTENCY_MISMATCH");
        // The same key in another API is another request.
        let other = json!({ "antiSpamToken": two.issue_token(player, "watch_ad").await });
        finalize(&two, player, key, &other).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    }
    let without_key = one.prove(&ada, &with_init).await;
    assert_eq!(without_key.status, 429, "{}", without_key.text);

    let failed = json!({ "antiSpamToken": one.issue_token(&ada, "demo_quiz").await, "proof": { "quizResult": "Atlantis" } });
    let _: i64 = stores.redis_client().await.query(&format!("DEL proven:{}", ada.identity.user)).await;
    let first = prove(&one, &ada, "k3", &failed).await;
    first.assert_refused(422, "PROOF_INVALID");
    let replay = prove(&two, &ada, "k3", &failed).await;
    assert_eq!((replay.status, replay.text.as_str()), (422, first.text.as_str()));
    assert_eq!(replay.header("idempotent-replayed"), "true");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_refusal_without_effect_is_not_replayed() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.outbox.max_entries = 1_000_000).await;
    let ada = node.register("ada").await;
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "watch_ad").await });
    let mut redis_client = stores.redis_client().await;
    // An unreadable outbox entry keeps a closed board from being opened.
    let _: String = redis_client.query("XADD outbox * kind unknown").await;
    node.app.store.close_board().await.unwrap();
    finalize(&node, &ada, "k", &body).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    let _: u64 = redis_client.query("XTRIM outbox MAXLEN 0").await;
    eventually("the repeat to be processed", async || {
        (finalize(&node, &ada, "k", &body).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "watch_ad").await });
    let long = "k".repeat(65);
    for key in ["", "a b", "k\u{e4}", &long] {
        let response = finalize(&node, &ada, key, &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), ["Idempotency-Key"]);
        let response = prove(&node, &ada, key, &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(finalize(&node, &ada, &"k".repeat(64), &body).await.status, 200);
}

#[tokio::test]
async fn a_replayed_board_does_not_enter_the_hub() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let starting = stores.build_app().await;
    for (app, replayed) in [(&node.app, false), (&starting, true)] {
        let request = RedeemRequest {
            credential: Credential::AntiSpam(token.clone()),
            proof: None,
            idempotency: Some(IdempotencyKey {
                key_digest: "k".into(),
                request_digest: "r".into(),
                answer_ttl_ms: 60_000,
            }),
        };
        let from = std::net::Ipv4Addr::LOCALHOST.into();
        let attempt = laurel::award::redeem(&app.awards, &ada.identity, from, Ok(request)).await;
        assert_eq!(attempt.outcome.unwrap().score, 10);
        assert_eq!(attempt.replayed, replayed);
    }
    assert!(node.app.hub.newest().version > 0);
    assert_eq!(starting.hub.newest().version, 0, "the hub may have had a newer board already");
}
