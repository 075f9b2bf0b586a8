use laurel::account::identify;
use laurel::keyring::Algorithm;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    IdentityProvider, Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually,
};
use crate::live::Client;

const KINDS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

async fn try_token(node: &TestNode, token: &str) -> TestResponse {
    node.post("/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await
}

async fn count_users(node: &TestNode) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn every_algorithm_verifies_from_jwks_and_pem() {
    let stores = TestStores::new().await;
    for kind in KINDS {
        let provider = IdentityProvider::new(kind);
        let node = provider.start_node(&stores).await;
        let ada = provider.player(&stores, &node, "ada").await;
        assert_eq!(try_token(&node, &ada.token).await.status, 200, "{kind:?}");
        provider.trust(&format!("public_key_file = \"key.pem\"\nalgorithm = \"{kind:?}\""));
        let node = provider.start_node(&stores).await;
        assert_eq!(try_token(&node, &ada.token).await.status, 200, "{kind:?}");
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
    let good = provider.claims(&stores, "ada");
    let wrong = [
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
    let missing = ["iss", "aud", "sub", "exp"].map(|it| (it, Value::Null));
    for (name, value) in wrong.into_iter().chain(missing) {
        let mut claims = good.clone();
        claims[name] = value.clone();
        try_token(&node, &provider.signer.sign(&claims)).await.assert_refused(401, "INVALID_TOKEN");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
            try_token(&node, &provider.signer.sign(&claims)).await.assert_refused(401, "INVALID_TOKEN");
        }
    }
    assert_eq!(count_users(&node).await, 0);
    let mut claims = good;
    claims["aud"] = json!(["another", "laurel"]);
    claims["sub"] = "a".repeat(255).into();
    claims.as_object_mut().unwrap().remove("nbf");
    assert_eq!(try_token(&node, &provider.signer.sign(&claims)).await.status, 200);
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let stores = TestStores::new().await;
    let ours = stores.config.auth.jwt_secret.expose().to_owned();
    for kind in KINDS {
        let provider = IdentityProvider::new(kind);
        let node = provider.start_node(&stores).await;
        let claims = provider.claims(&stores, "ada");
        let good = provider.signer.sign(&claims);
        let (unsigned, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = unsigned.split_once('.').unwrap();
        let mut hmac = provider.signer.header.clone();
        hmac.alg = Algorithm::HS256;
        let by_secret = |secret: &str| {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            jsonwebtoken::encode(&hmac, &claims, &key).unwrap()
        };
        let mut unnamed = provider.signer.header.clone();
        unnamed.kid = None;
        let forged = [
            Signer::new(kind, "first").sign(&claims),
            Signer::new(kind, "second").sign(&claims),
            Signer::new(kind, "first").sign_as(&unnamed, &claims),
            // The public key used as an HMAC secret, and Laurel's own secret.
            by_secret(&provider.signer.pem()),
            by_secret(&ours),
            format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."),
            format!("{unsigned}."),
            format!("{header}..{signature}"),
        ];
        for token in forged {
            try_token(&node, &token).await.assert_refused(401, "INVALID_TOKEN");
        }
        assert_eq!(count_users(&node).await, 0);
        assert_eq!(
            try_token(&stores.start_node().await, &good).await.status,
            401,
            "a node without providers"
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
    let nobody = identify(&node.app.accounts, &provider.signer.sign(&provider.claims(&stores, "\u{1f600}")))
        .await
        .unwrap();
    assert!(nobody.username.starts_with("player_"), "{}", nobody.username);
}

#[tokio::test]
async fn keys_rotate_while_the_node_serves() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let claims = provider.claims(&stores, "ada");
    let (old, next) = (&provider.signer, Signer::new(Algorithm::EdDSA, "next"));
    let (by_old, by_next) = (old.sign(&claims), next.sign(&claims));
    let statuses = async || [try_token(&node, &by_old).await.status, try_token(&node, &by_next).await.status];
    assert_eq!(statuses().await, [200, 401]);
    provider.publish(&[old, &next]);
    eventually("both keys", async || (statuses().await == [200, 200]).then_some(())).await;
    provider.publish(&[&next]);
    eventually("the new key alone", async || (statuses().await == [401, 200]).then_some(())).await;
    assert_eq!(count_users(&node).await, 1);
}

#[tokio::test]
async fn concurrent_first_logins_create_one_user() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::EdDSA);
    let nodes = [provider.start_node(&stores).await, provider.start_node(&stores).await];
    for round in 0..10 {
        let mut claims = provider.claims(&stores, &format!("user {round}"));
        // All users want the same name.
        claims["preferred_username"] = "ada".into();
        let token = provider.signer.sign(&claims);
        let seen = nodes.iter().cycle().take(8).map(|it| identify(&it.app.accounts, &token));
        let seen = futures::future::join_all(seen).await;
        let users: std::collections::HashSet<Uuid> = seen.into_iter().map(|it| it.unwrap().user).collect();
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
    let mut watcher = Client::connect(&node, &ada).await;
    assert_eq!(watcher.wait_for("connect_success").await["data"]["username"], "ada");
    node.award(&ada, "watch_ad").await;
    assert_eq!(watcher.wait_for("score_personal").await["data"]["score"], 10);
    assert_eq!(node.board().await, [("ada".to_owned(), 10, 1)]);
    let (path, bearer) =
        (format!("/api/scoreboard/user/{}", ada.identity.number), format!("Bearer {}", ada.token));
    let headers = [("authorization", bearer.as_str())];
    let score = node.send(reqwest::Method::GET, &path, &headers, Vec::new()).await;
    assert_eq!(score.body["data"]["score"], 10, "{}", score.text);
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;

    // A token without expiry opens a socket; a socket closes when its token expires.
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
    let (ours, ada) = (node.register("ours").await, provider.player(&stores, &node, "ada").await);
    node.app.database.close().await;
    for known in [&ours, &ada] {
        assert_eq!(try_token(&node, &known.token).await.status, 200);
    }
    let new = provider.signer.sign(&provider.claims(&stores, "new"));
    let answer = try_token(&node, &new).await;
    answer.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_ne!(answer.header("retry-after"), "");
    let bearer = format!("Bearer {new}");
    let socket =
        node.send(reqwest::Method::GET, "/api/v1/ws", &[("authorization", &bearer)], Vec::new()).await;
    socket.assert_refused(503, "SERVICE_UNAVAILABLE");
}
