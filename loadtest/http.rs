//! One kept-alive HTTP/1.1 connection, as cheap as can be, since it shares the machine with what it measures.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// From one of this machine's addresses.
    pub async fn open_from(from: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and gives the body of its answer, which has to be a 200.
    pub async fn post(&mut self, path: &str, login: &str, body: &str) -> String {
        self.try_post(path, login, body).await.unwrap()
    }

    /// The same; another answer is given as a whole.
    pub async fn try_post(&mut self, path: &str, login: &str, body: &str) -> Result<String, String> {
        self.exchange(&post(path, login, body)).await
    }

    pub async fn get(&mut self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: laurel\r\n\r\n")).await.unwrap()
    }

    pub async fn get_as(&mut self, path: &str, login: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer {login}\r\n\r\n");
        self.exchange(&request).await.unwrap()
    }

    async fn exchange(&mut self, request: &str) -> Result<String, String> {
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
                let ok = head.starts_with("HTTP/1.1 200");
                return if ok { Ok(body.to_owned()) } else { Err(text.to_owned()) };
            }
        }
    }
}

/// A request as it is sent.
pub fn post(path: &str, login: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer {login}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A text field of a JSON answer.
pub fn field(answer: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(answer).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}
