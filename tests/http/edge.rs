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
    let given = node.send(Method::GET, "/healthz", &[("x-request-id", "abc-123")], Vec::new()).await;
    assert_eq!(given.header("x-request-id"), "abc-123");
    let long = "x".repeat(200);
    for bad in ["", "a b", &long] {
        let made = node.send(Method::GET, "/nowhere", &[("x-request-id", bad)], Vec::new()).await;
        assert_eq!(made.header("x-request-id").len(), 36, "{bad:?}");
    }
}

#[tokio::test]
async fn slow_requests_get_503() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.server.request_timeout_ms = 1).await;
    // A password hash takes longer than a millisecond.
    let body = serde_json::json!({ "username": "ada", "password": "correct horse" });
    let answer = node.post("/api/auth/login", "", &body).await;
    answer.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn error_codes_are_the_documented_ones() {
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
    for inside in ["users", "relation", "sqlx", "src/"] {
        assert!(!text.contains(inside), "{text}");
    }
}
