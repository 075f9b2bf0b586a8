//! Unknown query parameters on every route.

use laurel::http::Router;
use reqwest::Method;

use super::admin::create_admin;
use crate::harness::TestStores;

/// Routes that ignore unknown parameters: pages (tracking tags), Socket.IO and ad networks.
const ACCEPT_UNKNOWN: [&str; 9] = [
    "/",
    "/admin",
    "/admin/",
    "/docs",
    "/docs/",
    "/favicon.ico",
    "/assets/{*path}",
    "/api/v1/callbacks/admob",
    "/socket.io/",
];

/// The patterns of a router, from its debug text, each with a path that has a value for every parameter.
pub fn paths(router: &Router) -> Vec<(String, String)> {
    let text = format!("{router:?}");
    let routes = text.split("fallback_router").next().unwrap();
    let mut patterns: Vec<&str> = routes.split('"').filter(|it| it.starts_with('/')).collect();
    patterns.sort_unstable();
    patterns.dedup();
    assert!(patterns.len() > 10, "{text}");
    let fill = |pattern: &str| {
        let parts = pattern.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    patterns.into_iter().map(|pattern| (pattern.to_owned(), fill(pattern))).collect()
}

#[tokio::test]
async fn every_route_reports_unknown_parameters() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let bearer = format!("Bearer {}", root.token);
    let login = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (pattern, path) in paths(&laurel::http::router(node.app.clone())) {
        let mut refusals = 0;
        for method in [Method::GET, Method::POST, Method::HEAD] {
            let send = async |query: &str| {
                node.send(method.clone(), &format!("{path}{query}"), &login, b"{}".to_vec()).await
            };
            if ACCEPT_UNKNOWN.contains(&pattern.as_str()) {
                assert_ne!(send("?utm_source=x").await.code(), "VALIDATION_ERROR", "{method} {path}");
                continue;
            }
            for (query, reported) in [
                ("?about=me", &["about"][..]),
                ("?about", &["about"]),
                ("?%61bout=1&about=2", &["about", "about"]),
                ("?a=1&b=&c&&", &["a", "b", "c"]),
                ("?Limit=1&access-token=x", &["Limit", "access-token"]),
            ] {
                let response = send(query).await;
                // Routes that parse the query themselves refuse the method first.
                if response.status == 405 {
                    continue;
                }
                refusals += 1;
                assert_eq!(response.status, 400, "{method} {path}{query}: {}", response.text);
                if method != Method::HEAD {
                    response.assert_refused(400, "VALIDATION_ERROR");
                    assert_eq!(response.fields(), reported, "{method} {path}{query}");
                }
            }
            if !path.ends_with("/stream") {
                assert!(!send("?").await.text.contains("is unknown"), "{method} {path}");
            }
        }
        assert_eq!(refusals > 0, !ACCEPT_UNKNOWN.contains(&pattern.as_str()), "{path}");
    }
    node.get("/nowhere?about=me").await.assert_refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_access_token_in_the_query_is_never_echoed() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    for path in ["/api/v1/ws", "/api/v1/leaderboard/stream"] {
        let refused = node.get(&format!("{path}?access_token={}&limit=1", ada.token)).await;
        refused.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.fields(), ["limit"], "{path}");
        assert!(!refused.text.contains(&ada.token), "{path}");
        let twice = node.get(&format!("{path}?access_token=x&access_token=y")).await;
        assert_eq!(twice.fields(), ["access_token"], "{path}");
    }
}
