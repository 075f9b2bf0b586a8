//! A client's end of a WebSocket.

use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

pub struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    /// The code and the reason of the close frame, once there was one; a frame without a code has 1005.
    pub closed: Option<(u16, String)>,
}

impl WebSocket {
    /// `None` if the node does not take it.
    pub async fn open(base: &str, path: &str, token: &str, receive_bytes: Option<usize>) -> Option<Self> {
        let stream = super::dial(base, receive_bytes).await?;
        let mut request = format!("{}{path}", base.replacen("http", "ws", 1)).into_client_request().unwrap();
        if !token.is_empty() {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let (stream, _) = client_async(request, stream).await.ok()?;
        Some(Self { stream, closed: None })
    }

    /// The next text; `None` at the end.
    pub async fn hear(&mut self) -> Option<String> {
        loop {
            match self.stream.next().await? {
                Ok(Frame::Text(text)) => return Some(text.to_string()),
                Ok(Frame::Close(frame)) => {
                    let why = frame.map(|it| (it.code.into(), it.reason.to_string()));
                    self.closed = Some(why.unwrap_or((1005, String::new())));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Says something, to whoever may be gone by now.
    pub async fn say(&mut self, text: &str) {
        let _ = self.stream.send(Frame::text(text.to_owned())).await;
    }

    /// Writes bytes that may be no frame.
    pub async fn say_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }
}
