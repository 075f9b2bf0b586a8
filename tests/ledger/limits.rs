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

#[tokio::test]
async fn awards_beyond_the_attempts_of_all_boards_are_refused() {
    let mut stores = TestStores::with_fake_clock().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    std::fs::write(stores.folder.path().join("game.json"), jwks(&[&signer])).unwrap();
    stores.config.actions.file = stores.write_catalogue(
        "[keys.game]\njwks_file = \"game.json\"\n\
         [[action]]\ntype = \"run\"\nnumber = 1\npoints = 0\nproof = { kind = \"none\" }\n\
         [[action]]\ntype = \"lap\"\nnumber = 2\npoints = 0\nproof = { kind = \"signed\", keys = \"game\" }\n\
         [[action]]\ntype = \"level\"\nnumber = 3\npoints = 5\nproof = { kind = \"none\" }\n",
    );
    // A level counts as an attempt of the sprint, and on `global`, so it is never refused.
    stores.config.boards.file = stores.write_boards(
        "[[board]]\nid = \"sprint\"\nperiod = \"day\"\nactions = [\"run\", \"level\"]\nmeasure = \"count\"\nattempts = 2\n\
         [[board]]\nid = \"ranked\"\nactions = [\"lap\"]\nwhere = { mode = \"ranked\" }\nmeasure = \"value\"\naggregate = \"best\"\n\
         attempts = 1\nsplit_by = \"country\"\n",
    );
    stores.config.tokens.action_interval_seconds = 0;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.wait_for_boards().await;
    eventually("the rules to be known", async || node.app.ledger.attempts.of("lap")).await;
    let lap = async |value: u32, mode: &str, country: &str| {
        let issued = node.init(&ada, "lap").await.body;
        let expires_s = node.app.store.now_us().await.unwrap() / 1_000_000 + 60;
        let claims = json!({
            "sub": ada.identity.user, "act": "lap", "jti": issued["challenge"]["nonce"], "exp": expires_s,
            "value": value, "tags": { "mode": mode, "country": country },
        });
        let proof = json!({ "attestation": signer.sign(&claims) });
        node.finalize(&ada, issued["antiSpamToken"].as_str().unwrap(), proof).await
    };
    let refused = async |response: TestResponse, most_s: u64| {
        response.assert_refused(429, "ACTION_LIMIT_REACHED");
        let wait_s: u64 = response.header("retry-after").parse().unwrap();
        assert!((1..=most_s).contains(&wait_s), "{wait_s}");
    };
    let (day_s, year_s) = (86_400, 365 * 86_400);

    node.award(&ada, "run").await;
    node.award(&ada, "level").await;
    let proven = node.prove(&ada, &json!({ "actionType": "run" })).await.body;
    let redeem = async || node.redeem(&ada, &json!({ "actionToken": proven["actionToken"] })).await;
    refused(redeem().await, day_s).await;
    let token = node.issue_token(&ada, "run").await;
    refused(node.finalize(&ada, &token, Value::Null).await, day_s).await;
    node.award(&ada, "level").await;
    node.award(&bob, "run").await;

    // The tags decide which boards count a lap. One that no board counts is not refused, and each country has its own attempts.
    assert_eq!(lap(7, "ranked", "DE").await.status, 200);
    refused(lap(6, "ranked", "DE").await, year_s).await;
    assert_eq!(lap(6, "ranked", "FR").await.status, 200, "the board of another country has room");
    refused(lap(5, "ranked", "FR").await, year_s).await;
    assert_eq!(lap(5, "casual", "DE").await.status, 200);

    // The attempts outlast a loss of Redis, and the sprint begins again with its next period.
    node.wait_for_ledger().await;
    let mut redis_client = stores.redis_client().await;
    let _: () = redis_client.query("FLUSHALL").await;
    eventually("Redis to be loaded", async || (node.app.store.poll_state().await.ok()?.open).then_some(()))
        .await;
    let token = node.issue_token(&ada, "run").await;
    refused(node.finalize(&ada, &token, Value::Null).await, day_s).await;
    refused(lap(6, "ranked", "DE").await, year_s).await;
    node.award(&bob, "run").await;
    assert_ledger_matches(&stores).await;
    stores.redis.set_clock("+86400");
    node.award(&ada, "run").await;
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
