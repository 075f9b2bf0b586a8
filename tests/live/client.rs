//! A WebSocket client that checks that no older board follows a newer one.

use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::{Player, TestNode, rows};

pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    version: i64,
    /// The code of the close frame, if one was received.
    pub closed: Option<u16>,
}

/// A handshake request of `/api/v1/ws`.
pub fn handshake(base: &str, query: &str) -> Request<()> {
    format!("{}/api/v1/ws{query}", base.replacen("http", "ws", 1)).into_client_request().unwrap()
}

impl Client {
    pub async fn with(request: Request<()>) -> Result<Self, Box<Error>> {
        let (socket, _) = connect_async(request).await.map_err(Box::new)?;
        Ok(Self { socket, version: -1, closed: None })
    }

    /// Connects a player whom the node may refuse.
    pub async fn try_connect(node: &TestNode, player: &Player) -> Result<Self, Box<Error>> {
        let mut request = handshake(&node.base, "");
        request.headers_mut().insert("authorization", format!("Bearer {}", player.token).parse().unwrap());
        Self::with(request).await
    }

    pub async fn connect(node: &TestNode, player: &Player) -> Self {
        Self::try_connect(node, player).await.unwrap()
    }

    /// The next event; `None` after the connection ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    if event["event"] == "leaderboard_updated" {
                        let version = event["version"].as_i64().unwrap();
                        assert!(version > self.version, "{version} after {}", self.version);
                        self.version = version;
                    }
                    return Some(event);
                }
                Ok(Message::Close(frame)) => self.closed = frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next event of this name.
    pub async fn wait_for(&mut self, name: &str) -> Value {
        loop {
            let event = self.next().await.expect("the socket ended");
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits for a board with these rows.
    pub async fn wait_for_board(&mut self, expected: &[(String, u64, u64)]) {
        while rows(&self.wait_for("leaderboard_updated").await["data"]) != expected {}
    }
}
