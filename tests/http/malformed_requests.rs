//! Malformed and incomplete requests, and WebSocket handshakes, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{TestNode, TestStores};

async fn send(node: &TestNode, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(node.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the node closes the connection.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // Closing a connection with unread bytes resets it, which is an error here.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn connections_without_a_complete_request_are_closed() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.header_timeout_ms = 300).await;
    for bytes in ["", "P", "PR", "POST", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        read_to_end(send(&node, bytes.as_bytes()).await).await;
    }
    assert_eq!(
        read_to_end(send(&node, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await).await,
        "",
        "HTTP/2 is not supported"
    );
    let response =
        read_to_end(send(&node, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await)
            .await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

#[tokio::test]
async fn a_missing_body_times_out() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.request_timeout_ms = 1500).await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";
    let post = send(&node, format!("POST /socket.io/?EIO=4&transport=polling {head}").as_bytes()).await;
    assert!(read_to_end(post).await.starts_with("HTTP/1.1 503"));
    let poll = send(&node, format!("GET /socket.io/?EIO=4&transport=polling {head}").as_bytes()).await;
    let response = read_to_end(poll).await;
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("0{\"sid\""), "{response}");
}

#[tokio::test]
async fn websocket_handshakes_follow_the_rfc() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let handshake = async |version: &str, key: &str, upgrade: &str| {
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
        let response = handshake("13", key, upgrade).await;
        assert!(response.starts_with("HTTP/1.1 101") && response.contains(accept), "{response}");
    }
    for (version, key, upgrade) in
        [("8", key, "websocket"), ("13", "short", "websocket"), ("13", "", "websocket"), ("13", key, "h2c")]
    {
        let response = handshake(version, key, upgrade).await;
        assert!(
            response.starts_with("HTTP/1.1 400") && response.contains("sec-websocket-version: 13"),
            "{response}"
        );
    }
}
