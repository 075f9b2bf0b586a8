//! Limits and used attestations outlast a loss of the data in Redis.

use laurel::keyring::Algorithm;
use serde_json::{Value, json};

use crate::harness::{
    Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually, jwks,
};

#[tokio::test]
async fn points_per_hour_survive_an_emptied_redis() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.limits.points_per_hour = 25).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "watch_ad").await;
    // An adjustment is not an award.
    let user = laurel::admin::find_user(&node.app.admin, "bob").await.unwrap();
    let decision = laurel::admin::Decision { actor: "test".into(), host: None, reason: "a gift".into() };
    laurel::admin::adjust(&node.app.admin, &user, 500, None, &decision).await.unwrap();
    node.wait_for_ledger().await;
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query("FLUSHALL").await;
    let token = eventually("the board to be open again", async || {
        let response = node.init(&ada, "watch_ad").await;
        response.body["antiSpamToken"].as_str().map(str::to_owned)
    })
    .await;
    let refused = node.finalize(&ada, &token, Value::Null).await;
    refused.assert_refused(429, "ACTION_LIMIT_REACHED");
    assert!((1..=3600).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    let key = format!("points:{}", ada.identity.user);
    assert!(
        (1..=3_600_000).contains(&redis_client.query::<i64>(&format!("PTTL {key}")).await),
        "it expires within an hour"
    );
    node.award(&bob, "watch_ad").await;
    assert_eq!(redis_client.query::<u64>(&format!("GET points:{}", bob.identity.user)).await, 20);
    assert_ledger_matches(&stores).await;
}

/// Starts a node whose only action needs an attestation, and registers a player.
async fn start_with_signed_action(stores: &TestStores, signer: &Signer) -> (TestNode, Player) {
    let (keys, catalogue) =
        (stores.folder.path().join("game.json"), stores.folder.path().join("actions.toml"));
    std::fs::write(keys, jwks(&[signer])).unwrap();
    let text = "[keys.game]\njwks_file = \"game.json\"\n[[action]]\ntype = \"level\"\nnumber = 1\npoints = 10\n\
                proof = { kind = \"signed\", keys = \"game\" }\n";
    std::fs::write(&catalogue, text).unwrap();
    let node = stores
        .start_node_with(|config| {
            config.actions.file = catalogue.to_str().unwrap().to_owned();
            config.tokens.action_interval_seconds = 0;
        })
        .await;
    let ada = node.register("ada").await;
    (node, ada)
}

/// Submits an attestation once the board is open.
async fn submit(node: &TestNode, player: &Player, attestation: &str) -> TestResponse {
    let body = json!({ "actionType": "level", "proof": { "attestation": attestation } });
    eventually("the board to be open", async || {
        let response = node.post("/api/v1/action-tokens", &player.token, &body).await;
        (response.status != 503).then_some(response)
    })
    .await
}

/// Each case has two offsets of Redis' clock in seconds: while the attestation is used and submitted again, and while Redis loses its data.
#[tokio::test]
async fn used_attestations_expire_by_redis_clock() {
    for (used_at, lost_at) in [("+0", "+0"), ("-3600", "-3600"), ("+3600", "+3600"), ("+0", "+120")] {
        let stores = TestStores::with_fake_clock().await;
        stores.redis.set_clock(used_at);
        let signer = Signer::new(Algorithm::ES256, "a");
        let (node, ada) = start_with_signed_action(&stores, &signer).await;
        let expires_s = node.app.store.now_us().await.unwrap() / 1_000_000 + 60;
        let sign = |jti: &str| {
            signer.sign(&json!({ "sub": ada.identity.user, "act": "level", "jti": jti, "exp": expires_s }))
        };
        let (used, fresh) = (sign("used"), sign("fresh"));
        assert_eq!(submit(&node, &ada, &used).await.status, 201);
        node.wait_for_ledger().await;
        stores.redis.set_clock(lost_at);
        let _: () = stores.redis_client().await.query("FLUSHALL").await;
        eventually("Redis to be loaded", async || {
            (node.app.store.poll_state().await.ok()?.open).then_some(())
        })
        .await;
        stores.redis.set_clock(used_at);
        submit(&node, &ada, &used).await.assert_refused(422, "PROOF_INVALID");
        assert_eq!(submit(&node, &ada, &fresh).await.status, 201, "{used_at} {lost_at}");
    }
}
