//! Subscribers of every protocol. Each checks that no older board follows a newer one.

pub mod events;
mod polling;
mod websocket;

use std::net::SocketAddr;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use events::Events;
pub use polling::Polling;
pub use websocket::WebSocket;

use crate::harness::{TEST_TIMEOUT, rows};

/// The protocol of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    WebSocket,
    SocketIo,
    SocketIoPolling,
    ServerSentEvents,
}

/// Polling is the last, because a node notices late that such a client left.
pub const ALL: [Protocol; 4] =
    [Protocol::WebSocket, Protocol::SocketIo, Protocol::ServerSentEvents, Protocol::SocketIoPolling];

/// A small receive buffer in the kernel, for clients that do not read.
pub const SMALL_BUFFER: usize = 4096;

enum Connection {
    WebSocket(WebSocket),
    SocketIo(WebSocket),
    SocketIoPolling(Polling),
    ServerSentEvents(Events),
}

/// An event of any protocol, with the names of `/api/v1/ws`.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    /// The data; for a board, its rows.
    pub data: Value,
    /// The version of a board; 0 for other events.
    pub version: i64,
}

pub struct Subscriber {
    connection: Connection,
    /// The newest board's version, over all connections.
    pub version: i64,
    /// True until this connection has received a board.
    is_new: bool,
    /// Number of boards received.
    pub boards: u64,
}

impl Subscriber {
    /// Connects and, over Socket.IO, logs in.
    pub async fn open(base: &str, protocol: Protocol, token: &str) -> Self {
        Self::try_open(base, protocol, token, None).await.expect("a connection")
    }

    /// Like `open`, with a small receive buffer.
    pub async fn open_small(base: &str, protocol: Protocol, token: &str) -> Self {
        Self::try_open(base, protocol, token, Some(SMALL_BUFFER)).await.expect("a connection")
    }

    /// Like `open`; `None` if the node refuses the connection.
    pub async fn try_open(
        base: &str,
        protocol: Protocol,
        token: &str,
        receive_bytes: Option<usize>,
    ) -> Option<Self> {
        let connection = connect(base, protocol, token, receive_bytes).await?;
        Some(Self { connection, version: -1, is_new: true, boards: 0 })
    }

    /// Reconnects to a node, and keeps the version. `false` if the node refuses the connection.
    pub async fn reopen(&mut self, base: &str, token: &str) -> bool {
        let Some(connection) = connect(base, self.protocol(), token, None).await else { return false };
        self.connection = connection;
        self.is_new = true;
        true
    }

    pub fn protocol(&self) -> Protocol {
        match self.connection {
            Connection::WebSocket(_) => Protocol::WebSocket,
            Connection::SocketIo(_) => Protocol::SocketIo,
            Connection::SocketIoPolling(_) => Protocol::SocketIoPolling,
            Connection::ServerSentEvents(_) => Protocol::ServerSentEvents,
        }
    }

    /// Code and reason of a WebSocket's close frame.
    pub fn closed(&self) -> Option<&(u16, String)> {
        match &self.connection {
            Connection::WebSocket(socket) | Connection::SocketIo(socket) => socket.closed.as_ref(),
            _ => None,
        }
    }

    /// Writes raw bytes to a WebSocket.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        match &mut self.connection {
            Connection::WebSocket(socket) | Connection::SocketIo(socket) => socket.send_raw(bytes).await,
            _ => panic!("no WebSocket"),
        }
    }

    /// The next event, with a time-out; `None` after the connection ended.
    pub async fn next(&mut self) -> Option<Event> {
        soon("an event", self.receive()).await
    }

    /// The next event; `None` after the connection ended.
    pub async fn receive(&mut self) -> Option<Event> {
        let event = loop {
            match &mut self.connection {
                Connection::WebSocket(socket) => {
                    break read_event(&serde_json::from_str(&socket.receive().await?).unwrap());
                }
                Connection::ServerSentEvents(events) => break read_event(&events.receive().await?),
                Connection::SocketIo(socket) => {
                    let packet = socket.receive().await?;
                    if packet == "2" {
                        socket.send("3").await;
                    } else if let Some(event) = read_packet(&packet) {
                        break event;
                    }
                }
                Connection::SocketIoPolling(polling) => {
                    if let Some(event) = read_packet(&polling.receive().await?) {
                        break event;
                    }
                }
            }
        };
        if event.name == "leaderboard_updated" {
            // A new connection may receive the last board of the previous connection again.
            let is_newer = event.version > self.version || (self.is_new && event.version == self.version);
            assert!(is_newer, "{:?}: {} after {}", self.protocol(), event.version, self.version);
            (self.version, self.is_new) = (event.version, false);
            self.boards += 1;
        }
        Some(event)
    }

    /// The next event of this name.
    pub async fn wait_for(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the connection ended before {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    /// Waits for a board with these rows.
    pub async fn wait_for_board(&mut self, expected: &[(String, u64, u64)]) {
        while rows(&self.wait_for("leaderboard_updated").await.data) != expected {}
    }

    /// Waits for a board of this version or a newer one.
    pub async fn wait_for_version(&mut self, version: i64) {
        while self.version < version {
            self.wait_for("leaderboard_updated").await;
        }
    }

    /// All events until the connection ends, with a time-out.
    pub async fn rest(&mut self) -> Vec<Event> {
        let receive_all = async {
            let mut events = Vec::new();
            while let Some(event) = self.receive().await {
                events.push(event);
            }
            events
        };
        soon("the end of a connection", receive_all).await
    }
}

async fn connect(
    base: &str,
    protocol: Protocol,
    token: &str,
    receive_bytes: Option<usize>,
) -> Option<Connection> {
    let join = format!("40{}", json!({ "token": token }));
    Some(match protocol {
        Protocol::WebSocket => {
            Connection::WebSocket(WebSocket::open(base, "/api/v1/ws", token, receive_bytes).await?)
        }
        Protocol::ServerSentEvents => {
            Connection::ServerSentEvents(Events::open(base, token, receive_bytes).await?)
        }
        Protocol::SocketIoPolling => {
            let mut polling = Polling::open(base).await?;
            polling.send(&join).await;
            Connection::SocketIoPolling(polling)
        }
        Protocol::SocketIo => {
            let path = "/socket.io/?EIO=4&transport=websocket";
            let mut socket = WebSocket::open(base, path, "", receive_bytes).await?;
            socket.send(&join).await;
            Connection::SocketIo(socket)
        }
    })
}

/// Reads an event of `/api/v1/ws`.
fn read_event(event: &Value) -> Event {
    Event {
        name: event["event"].as_str().unwrap().to_owned(),
        data: event["data"].clone(),
        version: event["version"].as_i64().unwrap_or_default(),
    }
}

/// Reads the event of a Socket.IO packet; `None` for packets without one.
fn read_packet(packet: &str) -> Option<Event> {
    let event = |name: &str, data| Some(Event { name: name.to_owned(), data, version: 0 });
    if let Some(json) = packet.strip_prefix("42") {
        let [name, data] = serde_json::from_str::<[Value; 2]>(json).unwrap();
        return match name.as_str().unwrap() {
            "scoreboard:update" => {
                let version = data["version"].as_i64().unwrap();
                Some(Event { name: "leaderboard_updated".into(), data: data["top10"].clone(), version })
            }
            "score:personal" => event("score_personal", data),
            name => event(name, data),
        };
    }
    match packet {
        "41" => event("disconnect", Value::Null),
        _ if packet.starts_with("44") => event("connect_error", serde_json::from_str(&packet[2..]).unwrap()),
        _ => None,
    }
}

/// Waits for a future, with a time-out that is long enough for a busy machine.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(TEST_TIMEOUT, future).await;
    result.unwrap_or_else(|_| panic!("waited five minutes for: {what}"))
}

/// Connects to a node, with a receive buffer of this size.
pub async fn dial(base: &str, receive_bytes: Option<usize>) -> Option<TcpStream> {
    let address: SocketAddr = base.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.connect(&address.into()).ok()?;
    socket.set_nonblocking(true).unwrap();
    Some(TcpStream::from_std(socket.into()).unwrap())
}
