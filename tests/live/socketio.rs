//! Socket.IO 5, packet by packet.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::clients::{Protocol, Subscriber};
use super::wait_until_followed;
use crate::harness::{IdentityProvider, Player, TestNode, TestStores, eventually, rows};

/// A client's end of a WebSocket.
pub struct Peer(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn open(node: &TestNode) -> Self {
        let url = format!("{}/socket.io/?EIO=4&transport=websocket", node.base.replacen("http", "ws", 1));
        let mut peer = Self(connect_async(url).await.unwrap().0);
        assert!(peer.receive().await.unwrap().starts_with("0{"));
        peer
    }

    /// Connects and logs in.
    pub async fn join(node: &TestNode, player: &Player) -> Self {
        let mut peer = Self::open(node).await;
        peer.send(&format!("40{}", json!({ "token": format!("Bearer {}", player.token) }))).await;
        assert!(peer.receive().await.unwrap().starts_with("40{\"sid\""));
        peer
    }

    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.unwrap();
    }

    pub async fn receive(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) if text.as_str() == "2" => self.send("3").await,
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next event of this name.
    async fn wait_for(&mut self, name: &str) -> Value {
        loop {
            let text = self.receive().await.expect("the socket ended");
            let event: Value = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
            if event[0] == name {
                return event[1].clone();
            }
        }
    }
}

#[tokio::test]
async fn a_client_gets_a_greeting_boards_and_personal_updates() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let ada = one.register("ada").await;
    let mut peer = Peer::join(&two, &ada).await;
    let greeting = peer.wait_for("connect_success").await;
    assert_eq!(greeting, json!({ "message": "Connected successfully", "userId": 1, "username": "ada" }));
    let board = peer.wait_for("scoreboard:update").await;
    assert_eq!(board["top10"], json!([]));
    wait_until_followed(&stores, &ada, 1).await;
    one.award(&ada, "watch_ad").await;
    let mut events = [None, None];
    while events.iter().any(Option::is_none) {
        let text = peer.receive().await.unwrap();
        let event: Value = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
        events[usize::from(event[0] == "score:personal")] = Some(event[1].clone());
    }
    let [board, update] = events.map(Option::unwrap);
    assert_eq!(rows(&board["top10"]), [("ada".to_owned(), 10, 1)]);
    assert_eq!(board["top10"][0]["userId"], 1);
    assert!(board["timestamp"].as_str().unwrap().ends_with('Z'));
    let expected = json!({ "userId": 1, "score": 10, "rank": 1, "pointsEarned": 10, "previousRank": null });
    assert_eq!(update, expected);
}

#[tokio::test]
async fn an_invalid_login_is_a_connect_error_with_its_code() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut peer = Peer::open(&node).await;
    for auth in ["", "{}", "{\"token\":7}", "{\"token\":\"nonsense\"}", "{\"token\":\"Bearer \"}"] {
        peer.send(&format!("40{auth}")).await;
        let refused = "44{\"message\":\"Authentication failed\",\"data\":{\"code\":\"INVALID_TOKEN\"}}";
        assert_eq!(peer.receive().await.unwrap(), refused, "{auth}");
    }
    peer.send("40/admin,").await;
    assert_eq!(peer.receive().await.unwrap(), "44/admin,{\"message\":\"Invalid namespace\"}");
    // The connection still accepts a login, also without `Bearer `.
    peer.send(&format!("40{}", json!({ "token": ada.token }))).await;
    assert!(peer.receive().await.unwrap().starts_with("40{"));
    peer.send("42[\"anything\",1]").await;
    peer.send("41").await;
    while peer.receive().await.is_some() {}
}

#[tokio::test]
async fn a_protocol_violation_ends_the_connection() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    for packet in ["4abc", "42{}", "42abc[\"x\"]", "451-[\"x\"]\u{0}", "48", "x"] {
        let mut peer = Peer::join(&node, &ada).await;
        peer.send(packet).await;
        while peer.receive().await.is_some() {}
    }
    let mut peer = Peer::open(&node).await;
    peer.send("42[\"message\"]").await;
    assert_eq!(peer.receive().await, None, "an event before the login");
}

#[tokio::test]
async fn only_an_expired_login_gets_a_disconnect_packet() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    stores.clock.shift(86_385_000);
    let mut peer = Peer::join(&node, &ada).await;
    let mut last = String::new();
    while let Some(text) = peer.receive().await {
        last = text;
    }
    assert_eq!(last, "41", "the client must not reconnect by itself");
    stores.clock.shift(-86_385_000);
    let mut peer = Peer::join(&node, &ada).await;
    peer.wait_for("scoreboard:update").await;
    let stopping = tokio::spawn(node.stop());
    assert_eq!(peer.receive().await, None, "the client reconnects by itself");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_polling_client_gets_a_disconnect_packet_after_a_ban() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut subscriber = Subscriber::open(&node.base, Protocol::SocketIoPolling, &ada.token).await;
    subscriber.wait_for("leaderboard_updated").await;
    let sockets = || node.app.metrics.sockets.with_label_values(&["socketio"]).get();
    assert_eq!(sockets(), 1);
    node.app.live.fanout.ban(ada.identity.user);
    eventually("the permit to be released", async || (sockets() == 0).then_some(())).await;
    let events: Vec<_> = subscriber.rest().await.into_iter().map(|event| event.name).collect();
    assert_eq!(events, ["disconnect"], "the client must not reconnect by itself");
}

#[tokio::test]
async fn an_external_user_connects_and_a_failed_lookup_ends_the_connection() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(laurel::keyring::Algorithm::EdDSA);
    let node = provider.start_node(&stores).await;
    let ada = provider.player(&stores, &node, "ada").await;
    let mut peer = Peer::join(&node, &ada).await;
    assert_eq!(peer.wait_for("connect_success").await["username"], "ada");
    node.award(&ada, "watch_ad").await;
    assert_eq!(peer.wait_for("score:personal").await["score"], 10);

    let mut claims = provider.claims(&stores, "new");
    let new = provider.signer.sign(&claims);
    claims["aud"] = "another".into();
    let mut peer = Peer::open(&node).await;
    peer.send(&format!("40{}", json!({ "token": provider.signer.sign(&claims) }))).await;
    assert!(peer.receive().await.unwrap().starts_with("44{\"message\":\"Authentication failed\""));
    node.app.database.close().await;
    peer.send(&format!("40{}", json!({ "token": new }))).await;
    assert_eq!(peer.receive().await, None, "the client reconnects by itself");
}

#[tokio::test]
async fn a_foreign_origin_and_a_draining_node_refuse_the_handshake() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| config.server.cors_origins = vec!["https://game.example".into()])
        .await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let get =
        async |origin: &str| node.send(reqwest::Method::GET, path, &[("origin", origin)], Vec::new()).await;
    get("https://evil.example").await.assert_refused(403, "FORBIDDEN");
    assert_eq!(get("https://game.example").await.status, 200);
    node.app.health.start_draining();
    let refused = get("https://game.example").await;
    refused.assert_refused(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_poll_may_last_longer_than_the_request_timeout() {
    let stores = TestStores::new().await;
    let change = |config: &mut laurel::config::Config| {
        config.server.request_timeout_ms = 300;
        config.live.ping_seconds = 1;
    };
    let node = stores.start_node_with(change).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = node.get(path).await.text;
    let greeting: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    let poll = node.get(&format!("{path}&sid={}", greeting["sid"].as_str().unwrap())).await;
    assert_eq!((poll.status, poll.text.as_str()), (200, "2"));
}
