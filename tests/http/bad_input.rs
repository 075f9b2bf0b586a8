//! Invalid requests get the documented errors and change nothing in the stores.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores};

/// The numbers of users, actions and ledger entries.
async fn row_counts(node: &TestNode) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM user_action), (SELECT count(*) FROM score_history)",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap()
}

/// Posts a body that may be malformed.
async fn post_raw(
    node: &TestNode,
    path: &str,
    token: &str,
    kind: &str,
    body: impl Into<Vec<u8>>,
) -> TestResponse {
    let bearer = format!("Bearer {token}");
    node.send(Method::POST, path, &[("authorization", &bearer), ("content-type", kind)], body.into()).await
}

#[tokio::test]
async fn every_wrong_field_is_reported() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut redis_client = stores.redis_client().await;
    let (before, counts_before) = (redis_client.dump().await, row_counts(&node).await);
    let good = json!({ "username": "bob", "email": "bob@example.com", "password": "correct horse" });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let long = "x".repeat(300);
    let register = "/api/auth/register";
    let cases = [
        (register, json!({}), vec!["username", "email", "password"]),
        (register, with("username", json!(null)), vec!["username"]),
        (register, with("username", json!(7)), vec!["username"]),
        (register, with("username", json!("ab")), vec!["username"]),
        (register, with("username", json!("no spaces")), vec!["username"]),
        (register, with("username", json!(long)), vec!["username"]),
        (register, with("email", json!("nowhere")), vec!["email"]),
        (register, with("email", json!(["a@b.c"])), vec!["email"]),
        (register, with("email", json!(format!("{long}@b.c"))), vec!["email"]),
        (register, with("password", json!("short")), vec!["password"]),
        (register, with("password", json!(long)), vec!["password"]),
        (register, with("role", json!("admin")), vec!["role"]),
        ("/api/auth/login", json!({}), vec!["username", "password"]),
        ("/api/auth/login", json!({ "username": long, "password": {} }), vec!["username", "password"]),
        ("/api/v1/actions/init", json!({}), vec!["actionType"]),
        ("/api/v1/actions/init", json!({ "actionType": 1 }), vec!["actionType"]),
        ("/api/v1/actions/init", json!({ "actionType": "watch_ad", "points": 99 }), vec!["points"]),
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": 1 }), vec!["antiSpamToken"]),
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": "x", "proof": 1 }), vec!["proof"]),
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": "x", "points": 99 }), vec!["points"]),
    ];
    for (path, body, fields) in cases {
        let response = node.post(path, &ada.token, &body).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), fields, "{path} {body}");
    }
    redis_client.assert_unchanged(&before).await;
    assert_eq!(row_counts(&node).await, counts_before);
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let json = "application/json; charset=utf-8";
    for path in ["/api/auth/register", "/api/auth/login", "/api/v1/actions/init", "/api/v1/actions/finalize"]
    {
        for body in [&b"{"[..], b"[]", b"null", b"\"x\"", b"{\"a\":\xff}", b"\xff\xfe", b"", b"{} {}"] {
            let response = post_raw(&node, path, &ada.token, json, body).await;
            response.assert_refused(400, "VALIDATION_ERROR");
            assert_eq!(response.fields(), ["body"], "{path} {body:?}");
        }
        let deep = "[".repeat(8000);
        post_raw(&node, path, &ada.token, json, deep).await.assert_refused(400, "VALIDATION_ERROR");
        let big = format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024));
        post_raw(&node, path, &ada.token, json, big).await.assert_refused(413, "PAYLOAD_TOO_LARGE");
        post_raw(&node, path, &ada.token, "text/plain", "{}")
            .await
            .assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let polling = "/socket.io/?EIO=4&transport=polling&sid=x";
    let big = "4".repeat(16 * 1024 + 1);
    post_raw(&node, polling, &ada.token, "text/plain", big).await.assert_refused(413, "PAYLOAD_TOO_LARGE");
}

/// A player's login, signed with the right key, with another `aud` or none.
fn signed_for(stores: &TestStores, player: &Player, aud: Option<&str>) -> String {
    let mut claims = serde_json::to_value(&player.identity).unwrap();
    if let Some(aud) = aud {
        claims["aud"] = aud.into();
    }
    let key = jsonwebtoken::EncodingKey::from_secret(stores.config.auth.jwt_secret.expose().as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test]
async fn invalid_logins_are_refused() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    let body = json!({ "antiSpamToken": token });
    let finalize = "/api/v1/actions/finalize";
    node.post(finalize, "", &body).await.assert_refused(401, "UNAUTHORIZED");
    let basic = node.post_with(finalize, "", &[("authorization", "Basic YTpi")], &body).await;
    basic.assert_refused(401, "UNAUTHORIZED");
    // The header {"alg":"none","typ":"JWT"}, the login's claims, no signature.
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", ada.token.split('.').nth(1).unwrap());
    let long = "x".repeat(5000);
    let (no_aud, other_aud) = (signed_for(&stores, &ada, None), signed_for(&stores, &ada, Some("elsewhere")));
    let truncated = &ada.token[..ada.token.len() - 1];
    for login in ["x", "a.b.c", &token, &unsigned, &long, truncated, &no_aud, &other_aud] {
        node.post(finalize, login, &body).await.assert_refused(401, "INVALID_TOKEN");
    }
    stores.clock.shift(86_401_000);
    node.post(finalize, &ada.token, &body).await.assert_refused(401, "INVALID_TOKEN");
    stores.clock.shift(-86_401_000);
    assert_eq!(node.post(finalize, &ada.token, &body).await.status, 200);
}
