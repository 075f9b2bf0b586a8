//! The paths of the admin listener, and of the public listener with and without one.

use laurel::http::Exposure;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::admin::create_admin;
use super::pages::named_files;
use crate::harness::TestStores;

/// Paths that only the admin listener serves, if there is one.
const ADMIN_PATHS: [&str; 5] =
    ["/metrics", "/admin", "/api/admin/users", "/api/admin/audit", "/api/admin/users/1/ban"];

#[tokio::test]
async fn the_admin_listener_serves_only_admin_paths() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.admin_listen = "127.0.0.1:0".into()).await;
    let root = create_admin(&node).await;
    for path in ADMIN_PATHS {
        node.get(path).await.assert_refused(404, "NOT_FOUND");
        node.post(path, &root.token, &json!({ "reason": "because" })).await.assert_refused(404, "NOT_FOUND");
    }
    for path in ["/readyz", "/readyz/awards"] {
        let state = node.get(path).await.body;
        let names: Vec<&String> = state.as_object().unwrap().keys().collect();
        assert_eq!(names, ["ready", "draining", "degraded", "boardVersion"], "{path}");
    }

    let (base, http) = (node.admin_base.clone().unwrap(), Client::new());
    let get = async |path: &str| http.get(format!("{base}{path}")).send().await.unwrap();
    assert!(get("/metrics").await.text().await.unwrap().contains("laurel_connections{listener=\"admin\"}"));
    assert_eq!(get("/healthz").await.status(), 200);
    for path in ["/readyz", "/readyz/awards"] {
        let state: Value = get(path).await.json().await.unwrap();
        assert!(state["outboxEntries"].is_u64(), "{path}: {state}");
    }
    // The admin page works: its files, the login, and its requests.
    for page in ["/admin", "/docs"] {
        let text = get(page).await.text().await.unwrap();
        let files = named_files(&text);
        assert!(!files.is_empty(), "{page}");
        for file in files {
            assert_eq!(get(&file).await.status(), 200, "{page} names {file}");
        }
    }
    assert_eq!(get("/api/admin/users").await.status(), StatusCode::UNAUTHORIZED);
    let login = json!({ "username": "root", "password": "correct horse" });
    let login = http.post(format!("{base}/api/auth/login")).json(&login).send().await.unwrap();
    let login: Value = login.json().await.unwrap();
    let token = login["data"]["token"].as_str().unwrap();
    let found =
        http.get(format!("{base}/api/admin/users?search=root")).bearer_auth(token).send().await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    for path in ["/api/v1/boards", "/api/v1/boards/weekly", "/api/v1/boards/weekly/entries"] {
        assert_eq!(get(path).await.status(), StatusCode::OK, "{path}");
    }
    // It has no endpoints for players.
    for path in ["/", "/api/v1/actions", "/api/auth/register", "/api/v1/ws", "/socket.io/"] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn without_an_admin_listener_metrics_are_served_on_loopback_only() {
    let stores = TestStores::new().await;
    for (host, on_loopback) in [("127.0.0.1", true), ("::1", true), ("0.0.0.0", false), ("::", false)] {
        let mut config = stores.config.clone();
        config.server.host = host.into();
        let exposure = Exposure::of(&config);
        assert_eq!((exposure.internals, exposure.admin), (on_loopback, true), "{host}");
        assert_eq!(exposure.hides_metrics(), !on_loopback, "{host}");
    }
    let node = stores.start_node_with(|config| config.server.host = "0.0.0.0".into()).await;
    node.get("/metrics").await.assert_refused(404, "NOT_FOUND");
    assert_eq!(node.get("/readyz").await.body["outboxEntries"], Value::Null);
    assert_eq!(node.get("/admin").await.status, 200);
    let node = stores.start_node().await;
    assert_eq!(node.get("/metrics").await.status, 200);
    assert!(node.get("/readyz").await.body["outboxEntries"].is_u64());
}
