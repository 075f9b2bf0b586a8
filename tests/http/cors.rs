//! Pages of other origins: what they may call, and what they may read of each response.

use laurel::config::Config;
use reqwest::Method;
use serde_json::json;

use super::queries::paths;
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

async fn from(
    node: &TestNode,
    origin: &str,
    method: Method,
    path: &str,
    more: &[(&str, &str)],
) -> TestResponse {
    let headers = [&[("origin", origin)], more].concat();
    node.send(method, path, &headers, Vec::new()).await
}

async fn preflight(node: &TestNode, origin: &str, path: &str) -> TestResponse {
    let asks = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key,traceparent"),
    ];
    from(node, origin, Method::OPTIONS, path, &asks).await
}

/// The allowed origin and credentials of a response.
fn allowed(answer: &TestResponse) -> (&str, &str) {
    assert!(answer.headers.get_all("vary").iter().any(|it| it == "origin"), "{:?}", answer.headers);
    assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count().max(1), 1);
    assert!(!answer.header("x-request-id").is_empty());
    (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"))
}

/// Asserts that a page of this origin can read the response and its headers.
#[track_caller]
fn assert_read(answer: &TestResponse, expected: (&str, &str), what: &str) {
    assert_eq!(allowed(answer), expected, "{what}");
    let exposed: Vec<&str> = answer.header("access-control-expose-headers").split(", ").collect();
    for name in EXPOSED {
        assert!(exposed.contains(&name), "{what}: {name} is hidden");
    }
}

#[tokio::test]
async fn every_route_allows_listed_origins_with_credentials() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(origins(&["*", GAME])).await;
    let mut all = paths(&laurel::http::router(node.app.clone()));
    all.extend(["/nowhere", "/api/nowhere"].map(|it| (it.to_owned(), it.to_owned())));
    for (_, path) in all {
        let for_operators = ["/api/admin/", "/metrics", "/readyz"].iter().any(|it| path.starts_with(it));
        let open = if for_operators { ("", "") } else { ("*", "") };
        for (origin, expected) in [(GAME, (GAME, "true")), (OTHER, open), ("null", open)] {
            let answer = preflight(&node, origin, &path).await;
            assert_eq!(allowed(&answer), expected, "{origin} {path}");
            if expected == ("", "") {
                answer.assert_refused(403, "FORBIDDEN");
            } else {
                assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
                let wanted = "authorization,content-type,idempotency-key,traceparent";
                assert_eq!(answer.header("access-control-allow-headers"), wanted);
                assert!(answer.header("access-control-max-age").parse::<u64>().unwrap() >= 600);
                for method in ["GET", "POST"] {
                    assert!(answer.header("access-control-allow-methods").contains(method));
                }
            }
            // With an unknown parameter, because a stream would not end.
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let answer = from(&node, origin, method.clone(), &format!("{path}?around=me"), &[]).await;
                let what = format!("{origin}: {method} {path} {}", answer.status);
                match expected {
                    ("", "") => assert_eq!(allowed(&answer), expected, "{what}"),
                    _ => assert_read(&answer, expected, &what),
                }
            }
        }
        let native = node.send(Method::OPTIONS, &path, &[], Vec::new()).await;
        assert_eq!(allowed(&native), ("", ""), "{path}: a request without an origin");
    }
}

#[tokio::test]
async fn refusals_can_be_read_by_the_page() {
    let stores = TestStores::new().await;
    let change = |it: &mut Config| {
        it.server.cors_origins = vec![GAME.into()];
        it.limits.sockets_per_ip = 1;
    };
    let node = stores.start_node_with(change).await;
    let post = async |path: &str, kind: &str, body: String| {
        node.send(Method::POST, path, &[("origin", GAME), ("content-type", kind)], body.into()).await
    };
    let json = "application/json";
    for (status, answer) in [
        (400, post("/api/auth/login", json, "{}".into()).await),
        (401, post("/api/v1/actions/init", json, "{}".into()).await),
        (404, post("/api/nowhere", json, "{}".into()).await),
        (405, post("/api/v1/actions", json, "{}".into()).await),
        (413, post("/api/auth/login", json, "x".repeat(20_000)).await),
        (413, post("/socket.io/?EIO=4&transport=polling&sid=x", "text/plain", "4".repeat(20_000)).await),
        (415, post("/api/auth/login", "text/plain", "{}".into()).await),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_read(&answer, (GAME, "true"), &status.to_string());
    }

    let player = node.create_players(1).await.remove(0);
    let bearer = format!("Bearer {}", player.token);
    let listen = async |path: &str, is_socket: bool| {
        let mut more = vec![("authorization", bearer.as_str())];
        more.extend(HANDSHAKE.iter().filter(|_| is_socket));
        from(&node, GAME, Method::GET, path, &more).await
    };
    let held = node.app.live.connection_limits.acquire(None, "127.0.0.1".parse().unwrap()).unwrap();
    for (path, is_socket) in SOCKETS {
        let answer = listen(path, is_socket).await;
        answer.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert_read(&answer, (GAME, "true"), path);
    }
    drop(held);

    let slow = |it: &mut Config| it.server.request_timeout_ms = 1;
    let slow = stores.start_node_with(slow).await;
    // A password hash takes longer than a millisecond.
    let login = json!({ "username": "ada", "password": "correct horse" });
    let answer = slow.post_with("/api/auth/login", "", &[("origin", OTHER)], &login).await;
    answer.assert_refused(503, "SERVICE_UNAVAILABLE");
    assert_read(&answer, ("*", ""), "a time-out");

    node.app.health.start_draining();
    for (path, is_socket) in SOCKETS {
        let answer = listen(path, is_socket).await;
        answer.assert_refused(503, "SERVICE_UNAVAILABLE");
        assert_read(&answer, (GAME, "true"), path);
    }
}

#[tokio::test]
async fn a_rate_limited_page_can_read_the_429() {
    let stores = TestStores::new().await;
    let change = |it: &mut Config| it.limits.requests_per_minute_per_ip = 1;
    let node = stores.start_node_with(change).await;
    assert_eq!(node.get("/api/v1/actions").await.status, 200);
    for (path, is_socket) in
        SOCKETS.into_iter().chain([("/api/v1/actions", false), ("/api/auth/login", false)])
    {
        // Browsers hide a refused preflight from the page.
        assert_eq!(preflight(&node, OTHER, path).await.status, 204, "{path}");
        let more = if is_socket { &HANDSHAKE[..] } else { &[] };
        let answer = from(&node, OTHER, Method::GET, path, more).await;
        answer.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert_read(&answer, ("*", ""), path);
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
                assert_eq!(allowed(&from(&node, origin, Method::GET, path, &[]).await), ("", ""), "{origin}");
                preflight(&node, origin, path).await.assert_refused(403, "FORBIDDEN");
            }
            for (path, is_socket) in SOCKETS {
                let mut more = vec![("authorization", bearer.as_str())];
                more.extend(HANDSHAKE.iter().filter(|_| is_socket));
                let answer = from(&node, origin, Method::GET, path, &more).await;
                answer.assert_refused(403, "FORBIDDEN");
                assert_eq!(allowed(&answer), ("", ""), "{origin} {path}");
            }
        }
        // The node's own pages send an origin too.
        let polling = "/socket.io/?EIO=4&transport=polling";
        for own in [node.base.clone(), node.base.replace("http:", "https:")] {
            let answer = from(&node, &own, Method::GET, polling, &[]).await;
            assert_eq!((answer.status, allowed(&answer)), (200, ("", "")), "{own}");
        }
    }
}

#[tokio::test]
async fn the_admin_listener_allows_listed_origins_only() {
    let stores = TestStores::new().await;
    let change = |it: &mut Config| {
        it.server.admin_listen = "127.0.0.1:0".into();
        it.server.cors_origins = vec!["*".into(), GAME.into()];
    };
    let node = stores.start_node_with(change).await;
    let (base, http) = (node.admin_base.clone().unwrap(), reqwest::Client::new());
    for path in ["/api/auth/login", "/api/admin/users", "/metrics", "/healthz", "/openapi.json", "/nowhere"] {
        let ask = async |origin| {
            let response = http.get(format!("{base}{path}")).header("origin", origin).send().await.unwrap();
            let allowed = response.headers().get("access-control-allow-origin").cloned();
            allowed.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!((ask(GAME).await.as_str(), ask(OTHER).await.as_str()), (GAME, ""), "{path}");
    }
}
