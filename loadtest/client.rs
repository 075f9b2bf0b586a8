//! A keep-alive HTTP/1.1 connection, and a player in a game session on one. Both are cheap, because they share the machine with what
//! they measure.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::drive::lane::read_response;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Connects from one of this machine's addresses.
    pub async fn open_from(from: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and returns the response's body.
    ///
    /// # Errors
    /// The status is not of success. The error is the whole response.
    pub async fn post(&mut self, path: &str, login: &str, body: &str) -> Result<String, String> {
        self.send(&post(path, login, body)).await
    }

    /// Requests a path that answers with success, and returns the body.
    pub async fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: laurel\r\n\r\n")).await.unwrap()
    }

    async fn send(&mut self, request: &str) -> Result<String, String> {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(count > 0, "the node closed the connection");
            if let Some(response) = read_response(&self.buffer) {
                let is_ok = (200..300).contains(&response.status);
                let text = String::from_utf8_lossy(if is_ok { response.body } else { &self.buffer });
                return if is_ok { Ok(text.into_owned()) } else { Err(text.into_owned()) };
            }
        }
    }
}

/// The bytes of a POST request.
pub fn post(path: &str, login: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer {login}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A text field of a JSON response.
pub fn field(body: &str, name: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}

/// A player in a game session. Each update is an award (one outbox entry) and returns the token of the next one.
pub struct Session {
    connection: Connection,
    login: String,
    /// None: no session could be started yet.
    token: Option<String>,
}

impl Session {
    /// Starts a session on a new connection.
    pub async fn start(address: &str, login: &str) -> Self {
        let mut session =
            Self { connection: Connection::open(address).await, login: login.to_owned(), token: None };
        session.token = Some(session.request("/api/game/start", "{}", "actionToken").await.unwrap());
        session
    }

    /// Makes one award and returns whether it was acknowledged. If it was not, starts a new session.
    pub async fn award(&mut self, action: &str) -> bool {
        if let Some(token) = self.token.take() {
            let body = format!(r#"{{"actionToken":"{token}","actionType":"{action}","points":10}}"#);
            self.token = self.request("/api/score/update", &body, "newActionToken").await.ok();
        }
        let acknowledged = self.token.is_some();
        if !acknowledged {
            self.token = self.request("/api/game/start", "{}", "actionToken").await.ok();
        }
        acknowledged
    }

    async fn request(&mut self, path: &str, body: &str, field: &str) -> Result<String, String> {
        let response = self.connection.post(path, &self.login, body).await?;
        let response: Value = serde_json::from_str(&response).unwrap();
        Ok(response["data"][field].as_str().unwrap().to_owned())
    }
}
