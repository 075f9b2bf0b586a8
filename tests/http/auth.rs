//! Registration and login.

use serde_json::{Value, json};

use crate::harness::{TestResponse, TestStores};
use crate::live::client::Client;

#[tokio::test]
async fn register_and_login_respond_as_documented() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let body = json!({ "username": "john_doe", "email": "john@example.com", "password": "SecurePass123" });
    let response = node.post("/api/auth/register", "", &body).await;
    assert_eq!(response.status, 201);
    let identity = |response: &TestResponse| {
        let token = response.body["data"]["token"].as_str().unwrap();
        node.app.accounts.logins.read(token, stores.clock.now_s()).unwrap()
    };
    let uuid = identity(&response).user;
    let user = json!({ "id": 1, "uuid": uuid, "username": "john_doe", "score": 0 });
    assert_eq!(response.body["data"]["user"], user);
    assert_eq!((response.body["statusCode"].as_u64(), &response.body["metadata"]), (Some(201), &json!({})));

    let body = json!({ "username": "JOHN_doe", "password": "SecurePass123" });
    let response = node.post("/api/auth/login", "", &body).await;
    assert_eq!((response.status, response.body["message"].as_str()), (200, Some("Login successful")));
    assert_eq!(response.body["data"]["user"], user);
    let identity = identity(&response);
    assert_eq!((identity.number, identity.role.as_str()), (1, "player"));
    assert_eq!(identity.expires_at_s - identity.issued_at_s, 86_400);
}

#[tokio::test]
async fn names_and_emails_are_unique_regardless_of_case() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.register("ada").await;
    for (username, email) in [("ADA", "other@example.com"), ("other", "ADA@example.com")] {
        let body = json!({ "username": username, "email": email, "password": "correct horse" });
        node.post("/api/auth/register", "", &body).await.assert_refused(409, "ALREADY_EXISTS");
    }
}

#[tokio::test]
async fn a_failed_login_does_not_reveal_the_reason() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.register("ada").await;
    let mut messages = Vec::new();
    for (username, password) in
        [("ada", "wrong horse"), ("nobody", "correct horse"), ("a\u{0}b", "correct horse")]
    {
        let response =
            node.post("/api/auth/login", "", &json!({ "username": username, "password": password })).await;
        response.assert_refused(401, "INVALID_CREDENTIALS");
        messages.push(response.body["message"].clone());
    }
    assert!(messages.iter().all(|it| *it == messages[0]));
}

#[tokio::test]
async fn logins_per_username_are_limited_across_nodes() {
    let stores = TestStores::new().await;
    let nodes = [
        stores.start_node_with(|config| config.limits.logins_per_minute = 3).await,
        stores.start_node_with(|config| config.limits.logins_per_minute = 3).await,
    ];
    nodes[0].register("ada").await;
    for attempt in 0..3 {
        let body = json!({ "username": "ada", "password": "wrong horse" });
        let response = nodes[attempt % 2].post("/api/auth/login", "", &body).await;
        response.assert_refused(401, "INVALID_CREDENTIALS");
        assert_eq!(response.header("ratelimit-remaining"), (2 - attempt).to_string());
    }
    let body = json!({ "username": "Ada", "password": "correct horse" });
    let response = nodes[0].post("/api/auth/login", "", &body).await;
    response.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = response.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry));
    assert_eq!((response.header("ratelimit-limit"), response.header("ratelimit-remaining")), ("3", "0"));
}

#[tokio::test]
async fn logins_get_503_when_the_hash_queue_is_full() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.auth.max_concurrent_hashes = 1;
            config.auth.hash_queue_timeout_ms = 1;
        })
        .await;
    let body = json!({ "username": "ada", "password": "correct horse" });
    let logins = (0..20).map(|_| node.post("/api/auth/login", "", &body));
    let responses = futures::future::join_all(logins).await;
    let refused: Vec<_> = responses.iter().filter(|it| it.status == 503).collect();
    assert!(!refused.is_empty() && refused.len() < 20, "{} of 20 were refused", refused.len());
    refused[0].assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_ne!(refused[0].header("retry-after"), "");
}

/// Two deployments with the same secret do not accept each other's logins.
#[tokio::test]
async fn logins_of_another_deployment_are_refused() {
    let deployments = [TestStores::new().await, TestStores::new().await];
    let (node, foreign) = (deployments[0].start_node().await, deployments[1].start_node().await);
    assert_eq!(
        deployments[0].config.auth.jwt_secret.expose(),
        deployments[1].config.auth.jwt_secret.expose()
    );
    let ada = node.register("ada").await;
    assert_eq!(node.init(&ada, "watch_ad").await.status, 200);
    foreign.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    foreign.start_game(&ada).await.assert_refused(401, "INVALID_TOKEN");
    assert!(Client::try_connect(&foreign, &ada).await.is_err(), "no socket accepts it");
    // Another node of the same deployment accepts it.
    let token = node.issue_token(&ada, "watch_ad").await;
    assert_eq!(deployments[0].start_node().await.finalize(&ada, &token, Value::Null).await.status, 200);
    // An action token signed with the same secret is unknown to the other Redis.
    let eve = foreign.register("eve").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    foreign.finalize(&eve, &token, Value::Null).await.assert_refused(401, "INVALID_TOKEN");

    let audience =
        |name: &'static str| move |config: &mut laurel::config::Config| config.auth.audience = name.into();
    let game = deployments[0].start_node_with(audience("game")).await;
    game.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    let ada = game.login("ada").await;
    node.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(game.init(&ada, "watch_ad").await.status, 200);
    assert_eq!(
        deployments[0].start_node_with(audience("game")).await.init(&ada, "watch_ad").await.status,
        200
    );
}
