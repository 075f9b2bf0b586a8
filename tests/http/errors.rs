//! The format of errors, and the request id of every response.

use reqwest::Method;

use crate::harness::TestStores;

#[tokio::test]
async fn every_error_is_in_the_envelope() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.get("/nowhere").await.assert_refused(404, "NOT_FOUND");
    node.get("/api/v1/actions/init").await.assert_refused(405, "METHOD_NOT_ALLOWED");
    node.send(Method::DELETE, "/api/v1/scores/leaderboard", &[], Vec::new())
        .await
        .assert_refused(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn the_request_id_is_kept_or_generated() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let kept = node.get_with("/healthz", "", &[("x-request-id", "abc-123")]).await;
    assert_eq!(kept.header("x-request-id"), "abc-123");
    let long = "x".repeat(200);
    for invalid in ["", "a b", &long] {
        let generated = node.get_with("/nowhere", "", &[("x-request-id", invalid)]).await;
        assert_eq!(generated.header("x-request-id").len(), 36, "{invalid:?}");
    }
}

#[tokio::test]
async fn slow_requests_get_503() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.request_timeout_ms = 1).await;
    // A password hash takes longer than a millisecond.
    let body = serde_json::json!({ "username": "ada", "password": "correct horse" });
    let response = node.post("/api/auth/login", "", &body).await;
    response.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(response.header("retry-after"), "1");
}

#[tokio::test]
async fn the_docs_explain_every_error_code() {
    let page = include_str!("../../docs/api.md");
    for code in laurel::error::Code::ALL {
        assert!(
            page.contains(&format!("`{}`", code.as_str())),
            "docs/api.md does not explain {}",
            code.as_str()
        );
    }
}

#[tokio::test]
async fn errors_do_not_name_internals() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    sqlx::query("ALTER TABLE users RENAME TO somewhere_else").execute(&node.app.database).await.unwrap();
    let request = reqwest::Client::new().get(format!("{}/api/scoreboard/user/2", node.base));
    let response = request.bearer_auth(&ada.token).send().await.unwrap();
    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert!(text.contains("\"errorCode\":\"INTERNAL_ERROR\""), "{text}");
    for internal in ["users", "relation", "sqlx", "src/"] {
        assert!(!text.contains(internal), "{text}");
    }
}
