//! One kept-alive HTTP connection, over which one request follows another.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(16 * 1024) }
    }

    pub async fn post(&mut self, path: &str, login: &str, body: &str) -> Value {
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer {login}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    pub async fn get(&mut self, path: &str) -> Value {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: laurel\r\n\r\n")).await
    }

    /// The answer has to be a 200.
    async fn exchange(&mut self, request: &str) -> Value {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(
                self.stream.read_buf(&mut self.buffer).await.unwrap() > 0,
                "the node closed the connection"
            );
            let text = std::str::from_utf8(&self.buffer).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                assert!(head.starts_with("HTTP/1.1 200"), "{text}");
                return serde_json::from_str(body).unwrap();
            }
        }
    }
}
