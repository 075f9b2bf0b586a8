//! Subscribers of every protocol. Each checks that no older board follows a newer one.

pub mod events;
mod polling;
mod websocket;

use std::collections::HashMap;
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
    /// Version and `stale` of each board that it subscribed to, over all connections.
    board_versions: HashMap<String, (i64, bool)>,
    /// Boards that this connection has received.
    received: Vec<String>,
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
        Some(Self::of(connection))
    }

    fn of(connection: Connection) -> Self {
        let (board_versions, received) = (HashMap::new(), Vec::new());
        Self { connection, version: -1, is_new: true, board_versions, received, boards: 0 }
    }

    /// Connects and subscribes to boards, which must all be accepted.
    pub async fn open_boards(base: &str, protocol: Protocol, token: &str, boards: &[&str]) -> Self {
        Self::try_open_boards(base, protocol, token, boards, None).await.expect("a connection")
    }

    /// Like `open_boards`, with a small receive buffer.
    pub async fn open_boards_small(base: &str, protocol: Protocol, token: &str, boards: &[&str]) -> Self {
        Self::try_open_boards(base, protocol, token, boards, Some(SMALL_BUFFER)).await.expect("a connection")
    }

    async fn try_open_boards(
        base: &str,
        protocol: Protocol,
        token: &str,
        boards: &[&str],
        receive_bytes: Option<usize>,
    ) -> Option<Self> {
        if protocol == Protocol::ServerSentEvents {
            let query: Vec<String> = boards.iter().map(|board| format!("board={board}")).collect();
            let bearer = format!("Authorization: Bearer {token}\r\n");
            let query = format!("?{}", query.join("&"));
            let events = Events::open_with(base, &query, &bearer, receive_bytes).await?;
            return Some(Self::of(Connection::ServerSentEvents(events)));
        }
        let mut subscriber = Self::try_open(base, protocol, token, receive_bytes).await?;
        // Before its greeting a Socket.IO client has no login.
        subscriber.wait_for("connect_success").await;
        let answer = subscriber.request("subscribe", json!({ "boards": boards })).await;
        assert_eq!(answer, json!({ "accepted": boards, "refused": [] }));
        Some(subscriber)
    }

    /// Sends a request about boards and returns the data of its answer.
    pub async fn request(&mut self, event: &str, data: Value) -> Value {
        let packet = format!("4217{}", json!([format!("board:{event}"), data]));
        match &mut self.connection {
            Connection::WebSocket(socket) => {
                socket.send(&json!({ "event": event, "data": data }).to_string()).await;
                return self.wait_for(&format!("{event}d")).await.data;
            }
            Connection::SocketIo(socket) => socket.send(&packet).await,
            Connection::SocketIoPolling(polling) => polling.send(&packet).await,
            Connection::ServerSentEvents(_) => panic!("the client cannot send"),
        }
        self.wait_for("acknowledgment").await.data
    }

    /// Reconnects to a node, and keeps the version. `false` if the node refuses the connection.
    pub async fn reopen(&mut self, base: &str, token: &str) -> bool {
        let Some(connection) = connect(base, self.protocol(), token, None).await else { return false };
        self.connection = connection;
        self.is_new = true;
        self.received.clear();
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
        if event.name == "board_updated" {
            let board = event.data["board"].as_str().unwrap().to_owned();
            let state = (event.data["version"].as_i64().unwrap(), event.data["stale"] == true);
            if let Some(known) = self.board_versions.insert(board.clone(), state) {
                // The same version is sent again when the board becomes stale or current, and on a new connection.
                let may_repeat = state.1 != known.1 || !self.received.contains(&board);
                let is_newer = state.0 > known.0 || (may_repeat && state.0 == known.0);
                assert!(is_newer, "{:?}: {board} {state:?} after {known:?}", self.protocol());
            }
            self.received.push(board);
        }
        Some(event)
    }

    /// Waits until the entries of a board that is not stale have these names, scores and ranks; returns the data.
    pub async fn wait_for_entries(&mut self, board: &str, expected: &[(&str, i64, u64)]) -> Value {
        loop {
            let data = self.wait_for("board_updated").await.data;
            let entries = data["entries"].as_array().unwrap();
            let entry =
                |entry: &'_ Value| (entry["score"].as_i64().unwrap(), entry["rank"].as_u64().unwrap());
            let rows: Vec<(&str, i64, u64)> = entries
                .iter()
                .map(|it| (it["username"].as_str().unwrap(), entry(it).0, entry(it).1))
                .collect();
            if data["board"] == board && data.get("stale").is_none() && rows == expected {
                return data;
            }
        }
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
            "board:update" => event("board_updated", data),
            "board:personal" => event("board_personal", data),
            name => event(name, data),
        };
    }
    match packet {
        "41" => event("disconnect", Value::Null),
        _ if packet.starts_with("4317[") => {
            let [data] = serde_json::from_str::<[Value; 1]>(&packet[4..]).unwrap();
            event("acknowledgment", data)
        }
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
