//! AdMob callbacks for rewarded ads, signed with a test key.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::admob::{Key, KeyServer, list};
use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

/// Two nodes with an action `rewarded_ad`, and a server with the key of its callbacks.
pub struct AdNetwork {
    stores: TestStores,
    key: Key,
    _key_server: Arc<KeyServer>,
    pub nodes: [TestNode; 2],
}

pub async fn start_ad_network() -> AdNetwork {
    let (stores, key) = (TestStores::new().await, Key::new(7));
    let key_server = KeyServer::start(&list(&[&key])).await;
    let action = "[[action]]\ntype = \"rewarded_ad\"\nnumber = 1\npoints = 25\ntoken_seconds = 900\nflows = [\"actions\"]\n\
                  acknowledge = \"ledger\"\nproof = { kind = \"admob\", ad_units = [\"42\"] }\n";
    let path = stores.write_catalogue(action);
    let node = async || {
        stores
            .start_node_with(|config| {
                config.actions.file = path.clone();
                config.callbacks.admob_keys_url = key_server.url.clone();
                config.limits.updates_per_minute = 1;
                config.outbox.acknowledge_timeout_ms = 10_000;
            })
            .await
    };
    let nodes = [node().await, node().await];
    AdNetwork { stores, key, _key_server: key_server, nodes }
}

impl AdNetwork {
    /// The content of a callback, without a signature.
    fn content(&self, token: &str, transaction: &str, user: &str, unit: &str, at_ms: i64) -> String {
        format!(
            "ad_network=5450213213286189855&ad_unit={unit}&custom_data={token}&reward_amount=1000000&reward_item=coins\
             &timestamp={at_ms}&transaction_id={transaction}&user_id={user}"
        )
    }

    /// A signed callback for an ad that the player has just watched.
    pub async fn callback(&self, token: &str, transaction: &str, player: &Player) -> String {
        let now_ms = self.nodes[0].app.store.now_us().await.unwrap() / 1000;
        self.key.sign(&self.content(token, transaction, &player.identity.user.to_string(), "42", now_ms))
    }

    /// A signed test call, as AdMob's console sends it.
    pub fn test_call(&self) -> String {
        let call = self.content("", "123456789", "", "1234567890", 1);
        self.key.sign(&call.replace("&custom_data=", ""))
    }

    async fn send(&self, node: usize, query: &str) -> TestResponse {
        self.nodes[node].get(&format!("/api/v1/callbacks/admob?{query}")).await
    }
}

#[tokio::test]
async fn a_watched_ad_is_awarded_once_despite_repeated_callbacks() {
    let ads = start_ad_network().await;
    let ada = ads.nodes[0].register("ada").await;
    let issued = ads.nodes[0].init(&ada, "rewarded_ad").await;
    assert_eq!(issued.body["expiresIn"], 900);
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    ads.nodes[0].finalize(&ada, token, Value::Null).await.assert_refused(400, "INVALID_ACTION");
    let query = ads.callback(token, "t1", &ada).await;
    let first = ads.send(0, &query).await;
    assert_eq!((first.status, &first.body["newScore"]), (200, &json!(25)), "{}", first.text);
    let calls = (0..20).map(|number| ads.send(number % 2, &query));
    for replay in futures::future::join_all(calls).await {
        assert_eq!((replay.status, &replay.text), (200, &first.text));
    }
    // The same token with another transaction, and the same transaction with another token.
    let other = ads.callback(token, "t2", &ada).await;
    ads.send(1, &other).await.assert_refused(409, "TOKEN_ALREADY_USED");
    let next = ads.nodes[1].issue_token(&ada, "rewarded_ad").await;
    let reused = ads.callback(&next, "t1", &ada).await;
    ads.send(1, &reused).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    assert_eq!(ads.nodes[1].board().await, [("ada".to_owned(), 25, 1)]);
    assert_ledger_matches(&ads.stores).await;
    let proof: Value =
        sqlx::query_scalar("SELECT proof_of_work FROM user_action WHERE completed_at IS NOT NULL")
            .fetch_one(&ads.nodes[0].app.database)
            .await
            .unwrap();
    assert_eq!((&proof["transactionId"], &proof["adUnit"]), (&json!("t1"), &json!("42")));
}

#[tokio::test]
async fn a_callback_waits_for_the_ledger_if_its_action_does() {
    let ads = start_ad_network().await;
    let ada = ads.nodes[0].register("ada").await;
    let token = ads.nodes[0].issue_token(&ada, "rewarded_ad").await;
    let query = ads.callback(&token, "t1", &ada).await;
    let ledger_lock = ads.stores.block_ledger_writes().await;
    ads.send(0, &query).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    drop(ledger_lock);
    let retried = eventually("the ad network's retry to succeed", async || {
        Some(ads.send(1, &query).await).filter(|it| it.status != 503)
    })
    .await;
    assert_eq!((retried.status, &retried.body["newScore"]), (200, &json!(25)), "{}", retried.text);
}

#[tokio::test]
async fn forged_and_mismatched_callbacks_are_refused() {
    let ads = start_ad_network().await;
    let (ada, bob) = (ads.nodes[0].register("ada").await, ads.nodes[0].register("bob").await);
    let token = ads.nodes[0].issue_token(&ada, "rewarded_ad").await;
    let now_ms = ads.nodes[0].app.store.now_us().await.unwrap() / 1000;
    let user = ada.identity.user.to_string();
    let content = ads.content(&token, "t1", &user, "42", now_ms);
    let other_key = Key::new(7).sign(&content);
    let valid = ads.key.sign(&content);
    ads.nodes[0].wait_for_ledger().await;
    let mut redis_client = ads.stores.redis_client().await;
    let before = redis_client.dump().await;
    for query in [
        other_key,
        valid.replace("reward_amount=1000000", "reward_amount=9000000"),
        valid.replace("transaction_id=t1", "transaction_id=t2"),
        format!("{valid}&user_id={}", bob.identity.user),
        content.clone(),
        String::new(),
    ] {
        ads.send(0, &query).await.assert_refused(400, "VALIDATION_ERROR");
    }
    let mismatches = [
        (ads.content(&token, "t1", &bob.identity.user.to_string(), "42", now_ms), 400, "VALIDATION_ERROR"),
        (ads.content(&token, "t1", &user, "43", now_ms), 400, "VALIDATION_ERROR"),
        (ads.content("not.a.token", "t1", &user, "42", now_ms), 401, "INVALID_TOKEN"),
    ];
    for (content, status, code) in mismatches {
        ads.send(1, &ads.key.sign(&content)).await.assert_refused(status, code);
    }
    redis_client.assert_unchanged(&before).await;
    let expired = ads.key.sign(&ads.content(&token, "t1", &user, "42", now_ms - 2 * 86_400_000));
    ads.send(0, &expired).await.assert_refused(422, "PROOF_INVALID");
    assert!(ads.nodes[0].board().await.is_empty());
    assert_ledger_matches(&ads.stores).await;
}

/// AdMob's console accepts a URL only if the test call gets status 200.
#[tokio::test]
async fn the_test_call_of_admobs_console_awards_nothing() {
    let ads = start_ad_network().await;
    let ada = ads.nodes[0].register("ada").await;
    let token = ads.nodes[0].issue_token(&ada, "rewarded_ad").await;
    let now_ms = ads.nodes[0].app.store.now_us().await.unwrap() / 1000;
    let test_call = ads.content("", "123456789", "", "1234567890", now_ms);
    ads.nodes[0].wait_for_ledger().await;
    let mut redis_client = ads.stores.redis_client().await;
    let before = redis_client.dump().await;
    for content in [
        test_call.replace("&custom_data=", ""),
        test_call.replace("&custom_data=", "").replace("&user_id=", ""),
        test_call.clone(),
        ads.content("hello", "123456789", "somebody", "1234567890", now_ms),
        ads.content(&token, "123456789", &ada.identity.user.to_string(), "1234567890", now_ms),
        ads.content("", "t9", &ada.identity.user.to_string(), "42", now_ms),
    ] {
        let response = ads.send(0, &ads.key.sign(&content)).await;
        assert_eq!(
            (response.status, &response.body),
            (200, &json!({ "success": false, "newScore": null })),
            "{content}"
        );
        ads.send(0, &Key::new(7).sign(&content)).await.assert_refused(400, "VALIDATION_ERROR");
        ads.send(0, &content).await.assert_refused(400, "VALIDATION_ERROR");
    }
    redis_client.assert_unchanged(&before).await;
    let query = ads.callback(&token, "t1", &ada).await;
    assert_eq!(ads.send(1, &query).await.body["newScore"], 25, "the token is still valid");
}

#[tokio::test]
async fn the_callback_route_needs_an_admob_action() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.get("/api/v1/callbacks/admob?x=1").await.assert_refused(404, "NOT_FOUND");
}
