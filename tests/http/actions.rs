//! The catalogue, and the way of an action: `init`, proof, `finalize`.

use serde_json::{Value, json};

use crate::harness::{TestStores, assert_ledger_matches, eventually};

#[tokio::test]
async fn an_action_is_proved_and_shown_on_the_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let response = node.init(&ada, "watch_ad").await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(response.body["expiresIn"], 30);
    assert_eq!(response.body.get("challenge"), None);
    let token = response.body["antiSpamToken"].as_str().unwrap();
    let claims = node.app.awards.anti_spam.read(token).unwrap();
    assert_eq!(response.body["actionId"], claims.jti.to_string());
    assert_eq!(claims.act, "watch_ad");

    let response = node.finalize(&ada, token, Value::Null).await;
    let row = json!({ "userId": ada.identity.user, "username": "ada", "score": 10, "rank": 1 });
    let receipt = &response.body["receipt"];
    let expected =
        json!({ "success": true, "newScore": 10, "rank": 1, "leaderboard": [row], "receipt": receipt });
    assert_eq!(response.body, expected);
    let board = node.get("/api/v1/scores/leaderboard").await;
    assert_eq!(board.body["leaderboard"], response.body["leaderboard"]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn the_catalogue_hides_quiz_answers() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let response = node.get("/api/v1/actions").await;
    let kinds: Vec<_> = response.body["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["proof"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["none", "none", "none", "none", "elapsed", "quiz", "hashcash"]);
    assert!(!response.text.contains("Canberra"));
}

#[tokio::test]
async fn the_catalogue_has_the_wait_until_an_action_is_available() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "daily_bonus").await;
    let waits = async |token: &str| -> Vec<Value> {
        let response = node.get_with("/api/v1/actions", token, &[]).await;
        let actions = response.body["actions"].as_array().unwrap().clone();
        actions.into_iter().map(|action| action["availableInMs"].clone()).collect()
    };
    let waits_ms = waits(&ada.token).await;
    let wait_ms = waits_ms[3].as_u64().unwrap();
    assert!((1..=86_400_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!(waits_ms.iter().filter(|wait| **wait == 0).count(), 6);
    assert_eq!(waits(&bob.token).await, [0; 7]);
    for login in ["", "nonsense", &format!("{}x", ada.token)] {
        assert_eq!(waits(login).await, vec![Value::Null; 7], "{login:?}");
    }
}

#[tokio::test]
async fn a_token_is_bound_to_user_action_and_time() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.tokens.anti_spam_seconds = 4).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let token = node.issue_token(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let mut redis_client = stores.redis_client().await;
    let before = redis_client.dump().await;
    node.finalize(&bob, &token, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    node.finalize(&ada, "", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    let missing = node.post("/api/v1/actions/finalize", &ada.token, &json!({})).await;
    missing.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(missing.body["message"], "No action token provided");
    let forged = node.finalize(&ada, &ada.token, Value::Null).await;
    forged.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(forged.body["message"], "Invalid token");
    for cut in [1, 20, token.len() / 2, token.len() - 1] {
        node.finalize(&ada, &token[..cut], Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    }
    redis_client.assert_unchanged(&before).await;

    eventually("the token to expire", async || {
        let keys: Vec<String> = stores.redis_client().await.query("KEYS token:*").await;
        keys.is_empty().then_some(())
    })
    .await;
    node.finalize(&ada, &token, Value::Null).await.assert_refused(401, "TOKEN_EXPIRED");
    assert!(node.board().await.is_empty());
}

#[tokio::test]
async fn an_unknown_action_has_no_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.init(&ada, "print_money").await.assert_refused(400, "INVALID_ACTION");
    node.init(&ada, "").await.assert_refused(400, "INVALID_ACTION");
}

#[tokio::test]
async fn a_banned_user_gets_no_award() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let _: () = stores.redis_client().await.query(&format!("SET ban:{} 1", ada.identity.user)).await;
    node.finalize(&ada, &token, Value::Null).await.assert_refused(403, "FORBIDDEN");
    node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
}
