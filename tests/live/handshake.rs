//! The handshake of `/api/v1/ws`.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use super::Client;
use super::client::handshake;
use super::clients::{WebSocket, soon};
use crate::harness::{TestStores, eventually};

#[tokio::test]
async fn a_new_client_gets_a_greeting_and_the_current_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    eventually("the board to be published", async || {
        (!node.app.hub.follow_board().borrow().board.rows.is_empty()).then_some(())
    })
    .await;
    let mut client = Client::connect(&node, &ada).await;
    let greeting = client.next().await.unwrap();
    let data = json!({ "message": "Connected successfully", "userId": ada.identity.user, "username": "ada" });
    assert_eq!(greeting, json!({ "event": "connect_success", "data": data }));
    let board = client.next().await.unwrap();
    assert_eq!(board["event"], "leaderboard_updated");
    assert_eq!(
        board["data"],
        json!([{ "userId": ada.identity.user, "username": "ada", "score": 10, "rank": 1 }])
    );
    assert!(board["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_login_is_accepted_in_header_subprotocol_and_query() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut header = handshake(&node.base, "");
    header.headers_mut().insert("authorization", format!("Bearer {}", ada.token).parse().unwrap());
    let mut protocol = handshake(&node.base, "");
    let protocols = format!("laurel.v1, bearer.{}", ada.token);
    protocol.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    let query = handshake(&node.base, &format!("?access_token={}", ada.token));
    for request in [header, protocol, query] {
        let mut client = Client::with(request).await.unwrap();
        assert_eq!(client.next().await.unwrap()["event"], "connect_success");
    }
}

#[tokio::test]
async fn a_refused_handshake_gets_its_status_code() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.server.cors_origins = vec!["https://game.example".into()];
            config.limits.sockets_per_user = 1;
        })
        .await;
    let ada = node.register("ada").await;
    let connect = async |token: Option<&str>, origin: Option<&str>| {
        let mut request = handshake(&node.base, "");
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match Client::with(request).await.map_err(|error| *error) {
            Ok(client) => (101, Some(client)),
            Err(Error::Http(response)) => (response.status().as_u16(), None),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect(None, None).await.0, 401);
    assert_eq!(connect(Some("forged"), None).await.0, 401);
    assert_eq!(connect(Some(&ada.token), Some("https://evil.example")).await.0, 403);
    let (status, client) = connect(Some(&ada.token), Some("https://game.example")).await;
    assert_eq!(status, 101);
    assert_eq!(connect(Some(&ada.token), None).await.0, 429);
    drop(client);
    eventually("the permit to be released", async || {
        (connect(Some(&ada.token), None).await.0 == 101).then_some(())
    })
    .await;
    node.get("/api/v1/ws").await.assert_refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_expired_login_closes_its_websocket() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    // The login expires in 15 s.
    stores.clock.shift(86_385_000);
    let mut client = Client::connect(&node, &ada).await;
    while client.next().await.is_some() {}
    assert_eq!(client.closed, Some(4401));
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.ping_seconds = 1).await;
    let ada = node.register("ada").await;
    // A client that is not polled answers no ping.
    let silent = Client::connect(&node, &ada).await;
    eventually("the client to be connected", async || {
        (node.app.metrics.sockets.with_label_values(&["websocket"]).get() == 1).then_some(())
    })
    .await;
    eventually("the client to be gone", async || {
        (node.app.metrics.sockets.with_label_values(&["websocket"]).get() == 0).then_some(())
    })
    .await;
    drop(silent);
}

#[tokio::test]
async fn only_a_ping_event_is_answered() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut socket = WebSocket::open(&node.base, "/api/v1/ws", &ada.token, None).await.unwrap();
    let pings = [r#"{"event":"ping"}"#, "{ \"event\" : \"ping\" }\n", r#"{"event":"ping","data":{"at":1}}"#];
    let other_texts = [
        "ping",
        "",
        "{",
        "null",
        "[]",
        "2",
        r#""ping""#,
        r#"{"event":"pong"}"#,
        r#"{"event":"PING"}"#,
        r#"{"event":1}"#,
        r#"{"data":"ping"}"#,
        r#"{"event":["ping"]}"#,
        r#"{"event":"ping"}{"event":"ping"}"#,
    ];
    for text in other_texts.into_iter().chain(pings) {
        socket.send(text).await;
    }
    let mut pongs = 0;
    while pongs < pings.len() {
        let text = soon("a pong", socket.receive()).await.expect("the socket stays open");
        pongs += usize::from(text == r#"{"event":"pong"}"#);
    }
    node.award(&ada, "watch_ad").await;
    loop {
        let text = soon("the award", socket.receive()).await.expect("the socket stays open");
        assert!(!text.contains("pong"), "more pongs than pings");
        if text.contains("\"score\":10") {
            break;
        }
    }
}
