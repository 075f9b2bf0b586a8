//! Engine.IO 4 over real sockets: WebSocket and long polling.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use laurel::live::engineio::{self, Engine, Message, Settings, Socket, Wire};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

fn settings(ping_interval: Duration) -> Settings {
    Settings {
        ping_interval,
        ping_timeout: Duration::from_secs(2),
        max_payload: 1_000_000,
        max_frames: usize::MAX,
        max_messages_per_second: 0,
        compression: false,
        write_timeout: Duration::from_secs(5),
        sid_prefix: "here.".into(),
    }
}

/// An Engine.IO server on a free port.
pub struct TestEngine {
    pub address: SocketAddr,
    client: reqwest::Client,
}

impl TestEngine {
    pub async fn new<F: Future<Output = ()> + Send + 'static>(
        handler: impl Fn(Socket) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::with_ping_interval(Duration::from_secs(60), handler).await
    }

    async fn with_ping_interval<F: Future<Output = ()> + Send + 'static>(
        ping_interval: Duration,
        handler: impl Fn(Socket) -> F + Send + Sync + 'static,
    ) -> Self {
        let router = engineio::routes("/engine.io/", Engine::new(settings(ping_interval), handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, client: reqwest::Client::new() }
    }

    async fn send(&self, method: Method, query: &str, body: &str) -> (u16, String) {
        let url = format!("http://{}/engine.io/?{query}", self.address);
        let response = self.client.request(method, url).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Opens a polling session. Returns its id.
    async fn open(&self) -> String {
        let (status, text) = self.send(Method::GET, "EIO=4&transport=polling", "").await;
        assert_eq!(status, 200, "{text}");
        let packet: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
        packet["sid"].as_str().unwrap().to_owned()
    }

    async fn poll(&self, sid: &str) -> (u16, String) {
        self.send(Method::GET, &format!("EIO=4&transport=polling&sid={sid}"), "").await
    }

    async fn post(&self, sid: &str, body: &str) -> (u16, String) {
        self.send(Method::POST, &format!("EIO=4&transport=polling&sid={sid}"), body).await
    }

    pub async fn websocket(&self, query: &str) -> Peer {
        let url = format!("ws://{}/engine.io/?EIO=4&transport=websocket{query}", self.address);
        Peer(connect_async(url).await.unwrap().0)
    }
}

/// A client's end of a WebSocket.
pub struct Peer(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn send(&mut self, text: &str) {
        self.0.send(Frame::text(text.to_owned())).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &'static [u8]) {
        self.0.send(Frame::binary(bytes)).await.unwrap();
    }

    /// The next message as text, pings left out; `None` after the connection ended.
    pub async fn receive(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Frame::Text(text)) if text.as_str() == "2" => self.send("3").await,
                Ok(Frame::Text(text)) => return Some(text.to_string()),
                Ok(Frame::Binary(bytes)) => return Some(format!("{bytes:?}")),
                Ok(Frame::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next text, pings included; `None` after the connection ended.
    async fn receive_any(&mut self) -> Option<String> {
        match self.0.next().await? {
            Ok(Frame::Text(text)) => Some(text.to_string()),
            _ => None,
        }
    }
}

/// Sends every message back.
async fn echo(mut socket: Socket) {
    while let Some(message) = socket.next().await {
        socket.send(match message {
            Message::Text(text) => Wire::text(format!("4{text}")),
            Message::Binary(bytes) => Wire::Binary(bytes),
        });
    }
}

#[tokio::test]
async fn a_handshake_reply_has_five_keys_and_a_wrong_query_gets_400() {
    let engine = TestEngine::new(echo).await;
    let (_, text) = engine.send(Method::GET, "EIO=4&transport=polling", "").await;
    let packet: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
    let keys: Vec<_> = packet.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert_eq!(packet["upgrades"], serde_json::json!(["websocket"]));
    assert!(packet["sid"].as_str().unwrap().starts_with("here."));
    let greeting = engine.websocket("").await.receive().await.unwrap();
    assert!(greeting.contains("\"upgrades\":[]"), "{greeting}");
    let wrong = [
        (Method::GET, "transport=polling"),
        (Method::GET, "EIO=abc&transport=polling"),
        (Method::GET, "EIO=3&transport=polling"),
        (Method::GET, "EIO=4"),
        (Method::GET, "EIO=4&transport=abc"),
        (Method::POST, "EIO=4&transport=polling"),
        (Method::PUT, "EIO=4&transport=polling"),
        (Method::GET, "EIO=4&transport=polling&sid=unknown"),
        (Method::GET, "EIO=4&transport=websocket"),
    ];
    for (method, query) in wrong {
        let (status, text) = engine.send(method.clone(), query, "").await;
        assert_eq!(status, 400, "{method} {query}: {text}");
        assert!(serde_json::from_str::<Value>(&text).unwrap()["code"].is_number());
    }
}

#[tokio::test]
async fn messages_pass_over_polling_in_both_directions() {
    let engine = TestEngine::new(echo).await;
    let sid = engine.open().await;
    assert_eq!(engine.post(&sid, "4test1\u{1e}4test2\u{1e}bAQIDBA==").await, (200, "ok".to_owned()));
    let mut received = String::new();
    while received.split('\u{1e}').filter(|packet| !packet.is_empty()).count() < 3 {
        received.push_str(&engine.poll(&sid).await.1);
        received.push('\u{1e}');
    }
    assert_eq!(received.trim_end_matches('\u{1e}'), "4test1\u{1e}4test2\u{1e}bAQIDBA==");
    assert_eq!(engine.post(&sid, "abc").await.0, 400);
    assert_eq!(engine.poll(&sid).await.0, 400, "the session has ended");
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let engine = TestEngine::new(echo).await;
    let sid = engine.open().await;
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.poll(&sid).await
    };
    let (first, second) = futures::join!(engine.poll(&sid), second);
    assert_eq!((first, second.0), ((200, "1".to_owned()), 400));
    assert_eq!(engine.poll(&sid).await.0, 400);
}

#[tokio::test]
async fn a_missed_pong_ends_the_session() {
    let engine = TestEngine::with_ping_interval(Duration::from_millis(300), echo).await;
    let sid = engine.open().await;
    for _ in 0..3 {
        assert_eq!(engine.poll(&sid).await, (200, "2".to_owned()));
        assert_eq!(engine.post(&sid, "3").await.0, 200);
    }
    crate::harness::eventually("the session to end without pongs", async || {
        (engine.post(&sid, "4x").await.0 == 400).then_some(())
    })
    .await;
    let mut socket = engine.websocket("").await;
    let mut pings = 0;
    socket.receive_any().await.unwrap();
    while let Some(frame) = socket.receive_any().await {
        assert_eq!(frame, "2");
        pings += 1;
        if pings <= 3 {
            socket.send("3").await;
        }
    }
    assert_eq!(pings, 4, "the connection ends after the unanswered ping");
}

#[tokio::test]
async fn the_poll_of_a_leaving_client_gets_a_noop() {
    let engine = TestEngine::new(echo).await;
    let sid = engine.open().await;
    let leave = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.post(&sid, "1").await
    };
    let (poll, _) = futures::join!(engine.poll(&sid), leave);
    assert_eq!(poll, (200, "6".to_owned()));
    assert_eq!(engine.poll(&sid).await.0, 400);
    let mut socket = engine.websocket("").await;
    socket.receive().await.unwrap();
    socket.send("1").await;
    assert_eq!(socket.receive().await, None);
}

#[tokio::test]
async fn a_session_upgrades_from_polling_to_a_websocket() {
    let engine = TestEngine::new(echo).await;
    let sid = engine.open().await;
    let mut socket = engine.websocket(&format!("&sid={sid}")).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await.unwrap(), "3probe");
    assert_eq!(engine.poll(&sid).await, (200, "6".to_owned()));
    socket.send("5").await;
    socket.send("4hello").await;
    assert_eq!(socket.receive().await.unwrap(), "4hello");
    socket.send_bytes(&[1, 2]).await;
    assert_eq!(socket.receive().await.unwrap(), "b\"\\x01\\x02\"");
    assert_eq!(engine.poll(&sid).await.0, 400);
    for _ in 0..3 {
        let mut second = engine.websocket(&format!("&sid={sid}")).await;
        assert_eq!(second.receive().await, None, "a session upgrades once");
        socket.send("4still here").await;
        assert_eq!(socket.receive().await.unwrap(), "4still here");
    }
    socket.send("abc").await;
    assert_eq!(socket.receive().await, None);
}
