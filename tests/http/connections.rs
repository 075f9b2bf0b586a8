//! Malformed and incomplete requests, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{TestNode, TestStores};

async fn send(node: &TestNode, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(node.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the node closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A close with unread bytes is a reset.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.server.header_timeout_ms = 300).await;
    for little in ["", "P", "PR", "POST", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        rest(send(&node, little.as_bytes()).await).await;
    }
    assert_eq!(
        rest(send(&node, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await).await,
        "",
        "HTTP/2 is not supported"
    );
    let answer =
        rest(send(&node, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_missing_body_times_out() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.server.request_timeout_ms = 1500).await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";
    let post = send(&node, format!("POST /socket.io/?EIO=4&transport=polling {head}").as_bytes()).await;
    assert!(rest(post).await.starts_with("HTTP/1.1 503"));
    let poll = send(&node, format!("GET /socket.io/?EIO=4&transport=polling {head}").as_bytes()).await;
    let answer = rest(poll).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("0{\"sid\""), "{answer}");
}

#[tokio::test]
async fn websocket_handshakes_follow_the_rfc() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let ask = async |version: &str, key: &str, upgrade: &str| {
        let headers = format!(
            "Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Version: {version}\r\n\
             Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {}\r\n\r\n",
            ada.token
        );
        let mut stream = send(&node, format!("GET /api/v1/ws HTTP/1.1\r\n{headers}").as_bytes()).await;
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let (key, accept) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
        let answer = ask("13", key, upgrade).await;
        assert!(answer.starts_with("HTTP/1.1 101") && answer.contains(accept), "{answer}");
    }
    for (version, key, upgrade) in
        [("8", key, "websocket"), ("13", "short", "websocket"), ("13", "", "websocket"), ("13", key, "h2c")]
    {
        let answer = ask(version, key, upgrade).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("sec-websocket-version: 13"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn cross_origin_pages_read_responses_of_their_sockets() {
    let stores = TestStores::new().await;
    let node =
        stores.start_node_with(|it| it.server.cors_origins = vec!["https://game.example".into()]).await;
    for path in ["/socket.io/?EIO=4&transport=polling", "/api/v1/leaderboard/stream"] {
        let preflight = [
            ("origin", "https://game.example"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization"),
        ];
        let answer = node.send(reqwest::Method::OPTIONS, path, &preflight, Vec::new()).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://game.example");
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
    }
    let path = "/socket.io/?EIO=4&transport=polling";
    let allowed =
        node.send(reqwest::Method::GET, path, &[("origin", "https://game.example")], Vec::new()).await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://game.example");
    let foreign =
        node.send(reqwest::Method::GET, path, &[("origin", "https://evil.example")], Vec::new()).await;
    foreign.assert_refused(403, "FORBIDDEN");
    assert_eq!(foreign.header("access-control-allow-origin"), "");
}
