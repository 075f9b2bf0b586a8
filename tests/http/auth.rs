//! Registration and login.

use serde_json::{Value, json};

use crate::harness::TestStores;
use crate::live::client::Client;

#[tokio::test]
async fn register_and_login_respond_as_documented() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let body = json!({ "username": "john_doe", "email": "john@example.com", "password": "SecurePass123" });
    let answer = node.post("/api/auth/register", "", &body).await;
    assert_eq!(answer.status, 201);
    let uuid = node
        .app
        .accounts
        .logins
        .read(answer.body["data"]["token"].as_str().unwrap(), stores.clock.now_s())
        .unwrap()
        .user;
    let user = json!({ "id": 1, "uuid": uuid, "username": "john_doe", "score": 0 });
    assert_eq!(answer.body["data"]["user"], user);
    assert_eq!((answer.body["statusCode"].as_u64(), &answer.body["metadata"]), (Some(201), &json!({})));

    let body = json!({ "username": "JOHN_doe", "password": "SecurePass123" });
    let answer = node.post("/api/auth/login", "", &body).await;
    assert_eq!((answer.status, answer.body["message"].as_str()), (200, Some("Login successful")));
    assert_eq!(answer.body["data"]["user"], user);
    let identity = node
        .app
        .accounts
        .logins
        .read(answer.body["data"]["token"].as_str().unwrap(), stores.clock.now_s())
        .unwrap();
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
        let answer =
            node.post("/api/auth/login", "", &json!({ "username": username, "password": password })).await;
        answer.assert_refused(401, "INVALID_CREDENTIALS");
        messages.push(answer.body["message"].clone());
    }
    assert!(messages.iter().all(|it| *it == messages[0]));
}

#[tokio::test]
async fn logins_per_username_are_limited_over_all_nodes() {
    let stores = TestStores::new().await;
    let nodes = [
        stores.start_node_with(|it| it.limits.logins_per_minute = 3).await,
        stores.start_node_with(|it| it.limits.logins_per_minute = 3).await,
    ];
    nodes[0].register("ada").await;
    for attempt in 0..3 {
        let body = json!({ "username": "ada", "password": "wrong horse" });
        let answer = nodes[attempt % 2].post("/api/auth/login", "", &body).await;
        answer.assert_refused(401, "INVALID_CREDENTIALS");
        assert_eq!(answer.header("ratelimit-remaining"), (2 - attempt).to_string());
    }
    let body = json!({ "username": "Ada", "password": "correct horse" });
    let answer = nodes[0].post("/api/auth/login", "", &body).await;
    answer.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry));
    assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("3", "0"));
}

#[tokio::test]
async fn logins_get_503_when_the_hash_queue_is_full() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|it| {
            it.auth.max_concurrent_hashes = 1;
            it.auth.hash_queue_timeout_ms = 1;
        })
        .await;
    let body = json!({ "username": "ada", "password": "correct horse" });
    let logins = (0..20).map(|_| node.post("/api/auth/login", "", &body));
    let answers = futures::future::join_all(logins).await;
    let busy: Vec<_> = answers.iter().filter(|it| it.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < 20, "{} of 20", busy.len());
    busy[0].assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_ne!(busy[0].header("retry-after"), "");
}

/// Two deployments with the same secret do not accept each other's logins.
#[tokio::test]
async fn logins_of_another_deployment_are_refused() {
    let deployments = [TestStores::new().await, TestStores::new().await];
    let (here, there) = (deployments[0].start_node().await, deployments[1].start_node().await);
    assert_eq!(
        deployments[0].config.auth.jwt_secret.expose(),
        deployments[1].config.auth.jwt_secret.expose()
    );
    let ada = here.register("ada").await;
    assert_eq!(here.init(&ada, "watch_ad").await.status, 200);
    there.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    there.post("/api/game/start", &ada.token, &json!({})).await.assert_refused(401, "INVALID_TOKEN");
    assert!(Client::try_connect(&there, &ada).await.is_err(), "no socket either");
    // Another node of the same deployment accepts it.
    let token = here.issue_token(&ada, "watch_ad").await;
    assert_eq!(deployments[0].start_node().await.finalize(&ada, &token, Value::Null).await.status, 200);
    // An action token signed by the same secret exists only in the Redis that issued it.
    let eve = there.register("eve").await;
    let token = here.issue_token(&ada, "watch_ad").await;
    there.finalize(&eve, &token, Value::Null).await.assert_refused(401, "INVALID_TOKEN");

    let named = |name: &'static str| move |it: &mut laurel::config::Config| it.auth.audience = name.into();
    let game = deployments[0].start_node_with(named("game")).await;
    game.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    let ada = game.login("ada").await;
    here.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(game.init(&ada, "watch_ad").await.status, 200);
    assert_eq!(deployments[0].start_node_with(named("game")).await.init(&ada, "watch_ad").await.status, 200);
}
