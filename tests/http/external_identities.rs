//! Logins with tokens of an external identity provider.

use laurel::account::identify;
use laurel::keyring::Algorithm;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    IdentityProvider, Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually,
};
use crate::live::Client;
use crate::live::clients::{ALL, Subscriber};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Sends a request with this login.
async fn try_login(node: &TestNode, token: &str) -> TestResponse {
    node.post("/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await
}

async fn count_users(node: &TestNode) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn every_algorithm_verifies_from_jwks_and_pem() {
    let stores = TestStores::new().await;
    for algorithm in ALGORITHMS {
        let provider = IdentityProvider::new(algorithm);
        let node = provider.start_node(&stores).await;
        let ada = provider.player(&stores, &node, "ada").await;
        assert_eq!(try_login(&node, &ada.token).await.status, 200, "{algorithm:?}");
        provider.trust(&format!("public_key_file = \"key.pem\"\nalgorithm = \"{algorithm:?}\""));
        let node = provider.start_node(&stores).await;
        assert_eq!(try_login(&node, &ada.token).await.status, 200, "{algorithm:?}");
        // All keys of the provider sign for the same user.
        assert_eq!(count_users(&node).await, 1);
    }
}

#[tokio::test]
async fn every_claim_is_checked() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let now_s = stores.clock.now_s();
    let valid = provider.claims(&stores, "ada");
    let invalid = [
        ("iss", json!("https://id.example/")),
        ("iss", json!(["https://id.example"])),
        ("aud", json!("another")),
        ("aud", json!(["another", 7])),
        ("aud", json!([])),
        ("exp", json!(now_s)),
        ("exp", json!(now_s - 600)),
        ("exp", json!("9999999999")),
        ("exp", json!(i64::MAX)),
        ("nbf", json!(now_s + 600)),
        ("nbf", json!("soon")),
        ("sub", json!("")),
        ("sub", json!("a".repeat(256))),
        ("sub", json!("a\u{0}b")),
        ("sub", json!(7)),
    ];
    let missing = ["iss", "aud", "sub", "exp"].map(|name| (name, Value::Null));
    for (name, value) in invalid.into_iter().chain(missing) {
        let mut claims = valid.clone();
        claims[name] = value.clone();
        try_login(&node, &provider.signer.sign(&claims)).await.assert_refused(401, "INVALID_TOKEN");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
            try_login(&node, &provider.signer.sign(&claims)).await.assert_refused(401, "INVALID_TOKEN");
        }
    }
    assert_eq!(count_users(&node).await, 0);
    let mut claims = valid;
    claims["aud"] = json!(["another", "laurel"]);
    claims["sub"] = "a".repeat(255).into();
    claims.as_object_mut().unwrap().remove("nbf");
    assert_eq!(try_login(&node, &provider.signer.sign(&claims)).await.status, 200);
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let stores = TestStores::new().await;
    let own_secret = stores.config.auth.jwt_secret.expose().to_owned();
    for algorithm in ALGORITHMS {
        let provider = IdentityProvider::new(algorithm);
        let node = provider.start_node(&stores).await;
        let claims = provider.claims(&stores, "ada");
        let valid = provider.signer.sign(&claims);
        let (unsigned, signature) = valid.rsplit_once('.').unwrap();
        let (header, payload) = unsigned.split_once('.').unwrap();
        let mut hmac = provider.signer.header.clone();
        hmac.alg = Algorithm::HS256;
        let by_secret = |secret: &str| {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            jsonwebtoken::encode(&hmac, &claims, &key).unwrap()
        };
        let mut without_kid = provider.signer.header.clone();
        without_kid.kid = None;
        let forged = [
            Signer::new(algorithm, "first").sign(&claims),
            Signer::new(algorithm, "second").sign(&claims),
            Signer::new(algorithm, "first").sign_as(&without_kid, &claims),
            // The public key used as an HMAC secret, and Laurel's own secret.
            by_secret(&provider.signer.pem()),
            by_secret(&own_secret),
            format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."),
            format!("{unsigned}."),
            format!("{header}..{signature}"),
        ];
        for token in forged {
            try_login(&node, &token).await.assert_refused(401, "INVALID_TOKEN");
        }
        assert_eq!(count_users(&node).await, 0);
        assert_eq!(
            try_login(&stores.start_node().await, &valid).await.status,
            401,
            "a node without providers accepts no external login"
        );
    }
}

#[tokio::test]
async fn a_user_is_created_at_the_first_login() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::EdDSA);
    let node = provider.start_node(&stores).await;
    let taken = node.register("Ada").await;
    let mut claims = provider.claims(&stores, "7f3");
    claims["preferred_username"] = "ada@id.example".into();
    for (name, value) in [("role", json!("admin")), ("id", json!(1)), ("username", json!("Ada"))] {
        claims[name] = value;
    }
    let ada = identify(&node.app.accounts, &provider.signer.sign(&claims)).await.unwrap();
    assert_eq!((ada.role.as_str(), ada.number), ("player", 3));
    assert!(ada.username.starts_with("ada_") && ada.username.len() == 10, "{}", ada.username);
    assert_ne!(ada.user, taken.identity.user);
    let email: String = sqlx::query_scalar("SELECT email FROM users WHERE id = $1")
        .bind(ada.user)
        .fetch_one(&node.app.database)
        .await
        .unwrap();
    assert_eq!(email, format!("{}@external.invalid", ada.user));

    let me = node.get_with("/api/v1/me", &provider.signer.sign(&claims), &[]).await;
    assert_eq!((&me.body["number"], &me.body["roles"]), (&json!(3), &json!(["player"])));
    assert_eq!(me.body.get("email"), None, "{}", me.text);

    // Later names in tokens are ignored on all nodes.
    claims["preferred_username"] = "countess".into();
    let token = provider.signer.sign(&claims);
    for node in [&node, &provider.start_node(&stores).await] {
        assert_eq!(identify(&node.app.accounts, &token).await.unwrap().username, ada.username);
    }
    for password in ["!", "!!!!!!!!", "correct horse"] {
        let body = json!({ "username": ada.username, "password": password });
        assert!([400, 401].contains(&node.post("/api/auth/login", "", &body).await.status));
    }
    let unnamed = identify(&node.app.accounts, &provider.signer.sign(&provider.claims(&stores, "\u{1f600}")))
        .await
        .unwrap();
    assert!(unnamed.username.starts_with("player_"), "{}", unnamed.username);
}

#[tokio::test]
async fn keys_rotate_while_the_node_serves() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let claims = provider.claims(&stores, "ada");
    let (old, next) = (&provider.signer, Signer::new(Algorithm::EdDSA, "next"));
    let (by_old, by_next) = (old.sign(&claims), next.sign(&claims));
    let statuses = async || [try_login(&node, &by_old).await.status, try_login(&node, &by_next).await.status];
    assert_eq!(statuses().await, [200, 401]);
    provider.publish(&[old, &next]);
    eventually("both keys to be accepted", async || (statuses().await == [200, 200]).then_some(())).await;
    provider.publish(&[&next]);
    eventually("only the new key to be accepted", async || (statuses().await == [401, 200]).then_some(()))
        .await;
    assert_eq!(count_users(&node).await, 1);
}

#[tokio::test]
async fn concurrent_first_logins_create_one_user() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::EdDSA);
    let nodes = [provider.start_node(&stores).await, provider.start_node(&stores).await];
    for round in 0..10 {
        let mut claims = provider.claims(&stores, &format!("user {round}"));
        // All tokens ask for the same username.
        claims["preferred_username"] = "ada".into();
        let token = provider.signer.sign(&claims);
        let logins = nodes.iter().cycle().take(8).map(|node| identify(&node.app.accounts, &token));
        let identities = futures::future::join_all(logins).await;
        let users: std::collections::HashSet<Uuid> =
            identities.into_iter().map(|identity| identity.unwrap().user).collect();
        assert_eq!(users.len(), 1);
    }
    assert_eq!(count_users(&nodes[0]).await, 10);
}

#[tokio::test]
async fn an_external_user_plays_like_any_other() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::RS256);
    let node = provider.start_node(&stores).await;
    let ada = provider.player(&stores, &node, "ada").await;
    let mut client = Client::connect(&node, &ada).await;
    assert_eq!(client.wait_for("connect_success").await["data"]["username"], "ada");
    node.award(&ada, "watch_ad").await;
    assert_eq!(client.wait_for("score_personal").await["data"]["score"], 10);
    assert_eq!(node.board().await, [("ada".to_owned(), 10, 1)]);
    let score = node.get_as(&ada, &format!("/api/scoreboard/user/{}", ada.identity.number)).await;
    assert_eq!(score.body["data"]["score"], 10, "{}", score.text);
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;

    // A token until the year 9999 opens a socket. A socket closes when its token expires.
    let mut claims = provider.claims(&stores, "ada");
    claims["exp"] = 253_402_300_799_i64.into();
    let forever = Player { token: provider.signer.sign(&claims), identity: ada.identity.clone() };
    assert!(Client::connect(&node, &forever).await.next().await.is_some());
    claims["exp"] = (stores.clock.now_s() + 2).into();
    let brief = Player { token: provider.signer.sign(&claims), identity: ada.identity };
    let mut client = Client::connect(&node, &brief).await;
    while client.next().await.is_some() {}
    assert_eq!(client.closed, Some(4401));
}

#[tokio::test]
async fn without_postgres_only_known_external_users_log_in() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let (bob, ada) = (node.register("bob").await, provider.player(&stores, &node, "ada").await);
    node.app.database.close().await;
    for known in [&bob, &ada] {
        assert_eq!(try_login(&node, &known.token).await.status, 200);
    }
    let new = provider.signer.sign(&provider.claims(&stores, "new"));
    let response = try_login(&node, &new).await;
    response.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_ne!(response.header("retry-after"), "");
    let socket = node.get_with("/api/v1/ws", &new, &[]).await;
    socket.assert_refused(503, "SERVICE_UNAVAILABLE");
}

/// Times may have fractions (RFC 7519, section 2), such as Python's `time.time() + 60`.
#[tokio::test]
async fn fractional_times_never_extend_a_token() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let now_s = stores.clock.now_s();
    let mut claims = provider.claims(&stores, "ada");
    // `nbf` has a leeway of five seconds.
    for (name, seconds, fraction, status) in [
        ("exp", 60, 0.5, 200),
        ("exp", 60, 0.999, 200),
        ("exp", -1, 0.999, 401),
        ("nbf", -60, 0.25, 200),
        ("nbf", 600, 0.25, 401),
        ("iat", -1, 0.75, 200),
    ] {
        let original = std::mem::replace(&mut claims[name], json!((now_s + seconds) as f64 + fraction));
        let token = provider.signer.sign(&claims);
        assert_eq!(try_login(&node, &token).await.status, status, "{name} {seconds} {fraction}");
        if let (200, Ok(login)) = (status, identify(&node.app.accounts, &token).await) {
            let expires_at_s = if name == "exp" { now_s + seconds } else { now_s + 600 };
            assert_eq!(login.expires_at_s, expires_at_s, "{name} {seconds} {fraction}");
        }
        claims[name] = original;
    }
}

/// A token of this length. A company's directory may put many groups into its tokens.
fn long_token(stores: &TestStores, provider: &IdentityProvider, bytes: usize) -> String {
    let mut claims = provider.claims(stores, "ada");
    let sign = |claims: &Value| provider.signer.sign(claims);
    let plain = sign(&claims).len();
    claims["groups"] = json!([""]);
    // Base64 encodes three bytes as four, so the length may differ by a few bytes.
    claims["groups"][0] = "g".repeat((bytes - plain - 40) * 3 / 4).into();
    while sign(&claims).len() + 1 < bytes {
        claims["groups"][0] = format!("{}g", claims["groups"][0].as_str().unwrap()).into();
    }
    sign(&claims)
}

#[tokio::test]
async fn tokens_over_12_kib_are_refused_without_an_abuse_signal() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::EdDSA);
    let node = provider.start_node(&stores).await;
    for bytes in [4_096, 4_100, 8_200, 11_000, 12 * 1024] {
        let long = long_token(&stores, &provider, bytes);
        assert!((bytes - 1..=bytes).contains(&long.len()), "{}", long.len());
        assert_eq!(try_login(&node, &long).await.status, 200, "{bytes}");
        for protocol in ALL {
            let mut subscriber = Subscriber::open(&node.base, protocol, &long).await;
            assert_eq!(subscriber.receive().await.unwrap().name, "connect_success", "{protocol:?} {bytes}");
        }
    }
    let signals = || node.metric("laurel_abuse_signals_total", "");
    let before = signals();
    for bytes in [12 * 1024 + 4, 13_000, 14_000] {
        let refused = try_login(&node, &long_token(&stores, &provider, bytes)).await;
        refused.assert_refused(401, "INVALID_TOKEN");
        assert_eq!(refused.body["message"], "Invalid or expired access token");
        assert_eq!(refused.body["metadata"]["expected"], "an access token of at most 12288 bytes");
    }
    assert_eq!(signals(), before);
    try_login(&node, &"x".repeat(12 * 1024)).await.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(signals(), before + 1, "a forged token is an abuse signal");
}

/// RFC 7517, section 5: keys of an unknown kind are ignored.
#[tokio::test]
async fn an_unsupported_key_does_not_block_rotation() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::RS256);
    let node = provider.start_node(&stores).await;
    let claims = provider.claims(&stores, "ada");
    let next = Signer::new(Algorithm::RS256, "next");
    let (by_old, by_next) = (provider.signer.sign(&claims), next.sign(&claims));
    assert_eq!(try_login(&node, &by_old).await.status, 200);
    let unsupported = [
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA" }),
        Signer::new(Algorithm::HS256, "secret").jwk(),
        Value::Null,
    ];
    let keys: Vec<_> = unsupported.into_iter().chain([next.jwk()]).collect();
    provider.publish_keys(&json!(keys));
    eventually("the new key to be accepted", async || {
        (try_login(&node, &by_next).await.status == 200).then_some(())
    })
    .await;
    try_login(&node, &by_old).await.assert_refused(401, "INVALID_TOKEN");
    let restarted = provider.start_node(&stores).await;
    assert_eq!(try_login(&restarted, &by_next).await.status, 200);
}
