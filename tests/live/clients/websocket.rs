//! A WebSocket client.

use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

pub struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    /// Code and reason of the received close frame; 1005 if it has no code.
    pub closed: Option<(u16, String)>,
}

impl WebSocket {
    /// Connects; `None` if the node refuses the connection.
    pub async fn open(base: &str, path: &str, token: &str, receive_bytes: Option<usize>) -> Option<Self> {
        let stream = super::dial(base, receive_bytes).await?;
        let mut request = format!("{}{path}", base.replacen("http", "ws", 1)).into_client_request().unwrap();
        if !token.is_empty() {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let (stream, _) = client_async(request, stream).await.ok()?;
        Some(Self { stream, closed: None })
    }

    /// The next text; `None` after the connection ended.
    pub async fn receive(&mut self) -> Option<String> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(frame)) => {
                    let reason = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    self.closed = Some(reason.unwrap_or((1005, String::new())));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends a text; does nothing if the node was stopped.
    pub async fn send(&mut self, text: &str) {
        let _ = self.stream.send(Message::text(text.to_owned())).await;
    }

    /// Writes raw bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }
}
