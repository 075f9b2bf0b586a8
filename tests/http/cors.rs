//! Pages of other origins: the requests that they may send, and the parts of a response that they may read.

use laurel::config::Config;
use reqwest::Method;
use serde_json::json;

use super::query_parameters::paths;
use crate::harness::{TestNode, TestResponse, TestStores};

const GAME: &str = "https://game.example";
const OTHER: &str = "https://other.example";
/// Headers that pages must be able to read.
const EXPOSED: [&str; 7] = [
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "etag",
    "x-request-id",
    "idempotent-replayed",
];
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
/// Real-time endpoints, and whether they use a WebSocket.
const SOCKETS: [(&str, bool); 4] = [
    ("/api/v1/ws", true),
    ("/api/v1/leaderboard/stream", false),
    ("/socket.io/?EIO=4&transport=polling", false),
    ("/socket.io/?EIO=4&transport=websocket", true),
];

fn origins(listed: &[&str]) -> impl FnOnce(&mut Config) {
    let listed = listed.iter().map(|it| (*it).to_owned()).collect();
    |config| config.server.cors_origins = listed
}

/// Sends a request as a page of this origin.
async fn send_from(
    node: &TestNode,
    origin: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> TestResponse {
    let all = [&[("origin", origin)], headers].concat();
    node.send(method, path, &all, Vec::new()).await
}

async fn send_preflight(node: &TestNode, origin: &str, path: &str) -> TestResponse {
    let headers = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key,traceparent"),
    ];
    send_from(node, origin, Method::OPTIONS, path, &headers).await
}

/// The origin and credentials that a response allows.
fn allowed_origin(response: &TestResponse) -> (&str, &str) {
    assert!(response.headers.get_all("vary").iter().any(|it| it == "origin"), "{:?}", response.headers);
    assert_eq!(response.headers.get_all("access-control-allow-origin").iter().count().max(1), 1);
    assert!(!response.header("x-request-id").is_empty());
    (response.header("access-control-allow-origin"), response.header("access-control-allow-credentials"))
}

/// Asserts that a page of this origin can read the response and its headers.
#[track_caller]
fn assert_readable(response: &TestResponse, expected: (&str, &str), what: &str) {
    assert_eq!(allowed_origin(response), expected, "{what}");
    let exposed: Vec<&str> = response.header("access-control-expose-headers").split(", ").collect();
    for name in EXPOSED {
        assert!(exposed.contains(&name), "{what}: {name} is hidden");
    }
}

#[tokio::test]
async fn every_route_allows_listed_origins_with_credentials() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(origins(&["*", GAME])).await;
    let mut all = paths(&laurel::http::router(node.app.clone()));
    all.extend(["/nowhere", "/api/nowhere"].map(|path| (path.to_owned(), path.to_owned())));
    for (_, path) in all {
        let is_admin_path =
            ["/api/admin/", "/metrics", "/readyz"].iter().any(|prefix| path.starts_with(prefix));
        let open = if is_admin_path { ("", "") } else { ("*", "") };
        for (origin, expected) in [(GAME, (GAME, "true")), (OTHER, open), ("null", open)] {
            let response = send_preflight(&node, origin, &path).await;
            assert_eq!(allowed_origin(&response), expected, "{origin} {path}");
            if expected == ("", "") {
                response.assert_refused(403, "FORBIDDEN");
            } else {
                assert_eq!((response.status, response.text.as_str()), (204, ""), "{path}");
                let names = "authorization,content-type,idempotency-key,traceparent";
                assert_eq!(response.header("access-control-allow-headers"), names);
                assert!(response.header("access-control-max-age").parse::<u64>().unwrap() >= 600);
                for method in ["GET", "POST"] {
                    assert!(response.header("access-control-allow-methods").contains(method));
                }
            }
            // The unknown parameter keeps streams from starting.
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let response =
                    send_from(&node, origin, method.clone(), &format!("{path}?around=me"), &[]).await;
                let what = format!("{origin}: {method} {path} {}", response.status);
                match expected {
                    ("", "") => assert_eq!(allowed_origin(&response), expected, "{what}"),
                    _ => assert_readable(&response, expected, &what),
                }
            }
        }
        let without_origin = node.send(Method::OPTIONS, &path, &[], Vec::new()).await;
        assert_eq!(allowed_origin(&without_origin), ("", ""), "{path}: a request without an origin");
    }
}

#[tokio::test]
async fn refusals_can_be_read_by_the_page() {
    let stores = TestStores::new().await;
    let change = |config: &mut Config| {
        config.server.cors_origins = vec![GAME.into()];
        config.limits.sockets_per_ip = 1;
    };
    let node = stores.start_node_with(change).await;
    let post = async |path: &str, kind: &str, body: String| {
        node.send(Method::POST, path, &[("origin", GAME), ("content-type", kind)], body.into()).await
    };
    let json = "application/json";
    for (status, response) in [
        (400, post("/api/auth/login", json, "{}".into()).await),
        (401, post("/api/v1/actions/init", json, "{}".into()).await),
        (404, post("/api/nowhere", json, "{}".into()).await),
        (405, post("/api/v1/actions", json, "{}".into()).await),
        (413, post("/api/auth/login", json, "x".repeat(20_000)).await),
        (413, post("/socket.io/?EIO=4&transport=polling&sid=x", "text/plain", "4".repeat(20_000)).await),
        (415, post("/api/auth/login", "text/plain", "{}".into()).await),
    ] {
        assert_eq!(response.status, status, "{}", response.text);
        assert_readable(&response, (GAME, "true"), &status.to_string());
    }

    let player = node.create_players(1).await.remove(0);
    let bearer = format!("Bearer {}", player.token);
    let connect = async |path: &str, is_socket: bool| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(HANDSHAKE.iter().filter(|_| is_socket));
        send_from(&node, GAME, Method::GET, path, &headers).await
    };
    let permit = node.app.live.connection_limits.acquire(None, "127.0.0.1".parse().unwrap()).unwrap();
    for (path, is_socket) in SOCKETS {
        let response = connect(path, is_socket).await;
        response.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert_readable(&response, (GAME, "true"), path);
    }
    drop(permit);

    let slow = stores.start_node_with(|config| config.server.request_timeout_ms = 1).await;
    // A password hash takes longer than a millisecond.
    let login = json!({ "username": "ada", "password": "correct horse" });
    let response = slow.post_with("/api/auth/login", "", &[("origin", OTHER)], &login).await;
    response.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_readable(&response, ("*", ""), "a time-out");

    node.app.health.start_draining();
    for (path, is_socket) in SOCKETS {
        let response = connect(path, is_socket).await;
        response.assert_refused(503, "SERVICE_UNAVAILABLE");
        assert_readable(&response, (GAME, "true"), path);
    }
}

#[tokio::test]
async fn a_rate_limited_page_can_read_the_429() {
    let stores = TestStores::new().await;
    let change = |config: &mut Config| config.limits.requests_per_minute_per_ip = 1;
    let node = stores.start_node_with(change).await;
    assert_eq!(node.get("/api/v1/actions").await.status, 200);
    for (path, is_socket) in
        SOCKETS.into_iter().chain([("/api/v1/actions", false), ("/api/auth/login", false)])
    {
        // Browsers hide a refused preflight from the page.
        assert_eq!(send_preflight(&node, OTHER, path).await.status, 204, "{path}");
        let headers = if is_socket { &HANDSHAKE[..] } else { &[] };
        let response = send_from(&node, OTHER, Method::GET, path, headers).await;
        response.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert_readable(&response, ("*", ""), path);
    }
}

#[tokio::test]
async fn an_unlisted_origin_gets_no_response_and_no_connection() {
    let stores = TestStores::new().await;
    for listed in [&[GAME][..], &[]] {
        let node = stores.start_node_with(origins(listed)).await;
        let player = node.create_players(1).await.remove(0);
        let bearer = format!("Bearer {}", player.token);
        for origin in [OTHER, "null", "*", "http://game.example", "https://game.example.other.example"] {
            for path in ["/api/v1/actions", "/api/auth/login", "/nowhere"] {
                assert_eq!(
                    allowed_origin(&send_from(&node, origin, Method::GET, path, &[]).await),
                    ("", ""),
                    "{origin}"
                );
                send_preflight(&node, origin, path).await.assert_refused(403, "FORBIDDEN");
            }
            for (path, is_socket) in SOCKETS {
                let mut headers = vec![("authorization", bearer.as_str())];
                headers.extend(HANDSHAKE.iter().filter(|_| is_socket));
                let response = send_from(&node, origin, Method::GET, path, &headers).await;
                response.assert_refused(403, "FORBIDDEN");
                assert_eq!(allowed_origin(&response), ("", ""), "{origin} {path}");
            }
        }
        // The node's own pages send an `Origin` too.
        let polling = "/socket.io/?EIO=4&transport=polling";
        for own in [node.base.clone(), node.base.replace("http:", "https:")] {
            let response = send_from(&node, &own, Method::GET, polling, &[]).await;
            assert_eq!((response.status, allowed_origin(&response)), (200, ("", "")), "{own}");
        }
    }
}

#[tokio::test]
async fn the_admin_listener_allows_listed_origins_only() {
    let stores = TestStores::new().await;
    let change = |config: &mut Config| {
        config.server.admin_listen = "127.0.0.1:0".into();
        config.server.cors_origins = vec!["*".into(), GAME.into()];
    };
    let node = stores.start_node_with(change).await;
    let (base, http) = (node.admin_base.clone().unwrap(), reqwest::Client::new());
    for path in ["/api/auth/login", "/api/admin/users", "/metrics", "/healthz", "/openapi.json", "/nowhere"] {
        let allowed = async |origin| {
            let response = http.get(format!("{base}{path}")).header("origin", origin).send().await.unwrap();
            let value = response.headers().get("access-control-allow-origin").cloned();
            value.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!((allowed(GAME).await.as_str(), allowed(OTHER).await.as_str()), (GAME, ""), "{path}");
    }
}

#[tokio::test]
async fn cross_origin_pages_can_open_sockets() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(origins(&[GAME])).await;
    for path in ["/socket.io/?EIO=4&transport=polling", "/api/v1/leaderboard/stream"] {
        let preflight = [
            ("origin", GAME),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization"),
        ];
        let response = node.send(Method::OPTIONS, path, &preflight, Vec::new()).await;
        assert_eq!(response.status, 204, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), GAME);
        assert!(response.header("access-control-allow-headers").contains("authorization"));
    }
    let path = "/socket.io/?EIO=4&transport=polling";
    let allowed = send_from(&node, GAME, Method::GET, path, &[]).await;
    assert_eq!(allowed.header("access-control-allow-origin"), GAME);
    let foreign = send_from(&node, OTHER, Method::GET, path, &[]).await;
    foreign.assert_refused(403, "FORBIDDEN");
    assert_eq!(foreign.header("access-control-allow-origin"), "");
}
