//! Listeners of every protocol, as real clients are. Each checks on every frame that no older board follows a newer one.

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

use crate::harness::{PATIENCE, rows};

/// How a listener is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plain,
    SocketIo,
    Polling,
    Events,
}

/// Polling is the last: that such a client is gone is seen only after a while.
pub const ALL: [Protocol; 4] = [Protocol::Plain, Protocol::SocketIo, Protocol::Events, Protocol::Polling];

/// Bytes that the kernel keeps for a client that does not read, if it is to be few.
pub const FEW: usize = 4096;

enum Line {
    Plain(WebSocket),
    SocketIo(WebSocket),
    Polling(Polling),
    Events(Events),
}

/// What a listener was told, in the words of `/api/v1/ws` whichever protocol it came by.
#[derive(Debug)]
pub struct Told {
    pub name: String,
    /// Of a board: its rows.
    pub data: Value,
    /// Of a board.
    pub version: i64,
}

pub struct Listener {
    line: Line,
    /// The newest board's version, over all connections.
    pub shown: i64,
    /// Nothing was shown over this connection yet.
    fresh: bool,
    /// Boards that were heard.
    pub boards: u64,
}

impl Listener {
    /// Connected and, where a protocol has that, joined.
    pub async fn open(base: &str, protocol: Protocol, token: &str) -> Self {
        Self::try_open(base, protocol, token, None).await.expect("a connection")
    }

    /// The same, with few bytes kept for it while it does not read.
    pub async fn narrow(base: &str, protocol: Protocol, token: &str) -> Self {
        Self::try_open(base, protocol, token, Some(FEW)).await.expect("a connection")
    }

    /// `None` if the node does not take it.
    pub async fn try_open(
        base: &str,
        protocol: Protocol,
        token: &str,
        receive_bytes: Option<usize>,
    ) -> Option<Self> {
        let line = line(base, protocol, token, receive_bytes).await?;
        Some(Self { line, shown: -1, fresh: true, boards: 0 })
    }

    /// Comes back, to this node or to another; what was shown is remembered. `false` if the node does not take it.
    pub async fn reopen(&mut self, base: &str, token: &str) -> bool {
        let Some(line) = line(base, self.protocol(), token, None).await else { return false };
        self.line = line;
        self.fresh = true;
        true
    }

    pub fn protocol(&self) -> Protocol {
        match self.line {
            Line::Plain(_) => Protocol::Plain,
            Line::SocketIo(_) => Protocol::SocketIo,
            Line::Polling(_) => Protocol::Polling,
            Line::Events(_) => Protocol::Events,
        }
    }

    /// The code and the reason of a WebSocket's close frame.
    pub fn closed(&self) -> Option<&(u16, String)> {
        match &self.line {
            Line::Plain(line) | Line::SocketIo(line) => line.closed.as_ref(),
            _ => None,
        }
    }

    /// Writes bytes that may be no frame to a WebSocket.
    pub async fn say_raw(&mut self, bytes: &[u8]) {
        match &mut self.line {
            Line::Plain(line) | Line::SocketIo(line) => line.say_raw(bytes).await,
            _ => panic!("no WebSocket"),
        }
    }

    /// The next thing that it is told, which comes soon; `None` at the end.
    pub async fn next(&mut self) -> Option<Told> {
        soon("something for a listener", self.hear()).await
    }

    /// The next thing that it is told, whenever it comes; `None` at the end.
    pub async fn hear(&mut self) -> Option<Told> {
        let told = loop {
            match &mut self.line {
                Line::Plain(line) => break plain(&serde_json::from_str(&line.hear().await?).unwrap()),
                Line::Events(line) => break plain(&line.hear().await?),
                Line::SocketIo(line) => {
                    let packet = line.hear().await?;
                    if packet == "2" {
                        line.say("3").await;
                    } else if let Some(told) = packet_told(&packet) {
                        break told;
                    }
                }
                Line::Polling(line) => {
                    if let Some(told) = packet_told(&line.hear().await?) {
                        break told;
                    }
                }
            }
        };
        if told.name == "leaderboard_updated" {
            // The first board of a connection may be known already.
            let newer = told.version > self.shown || (self.fresh && told.version == self.shown);
            assert!(newer, "{:?}: {} after {}", self.protocol(), told.version, self.shown);
            (self.shown, self.fresh) = (told.version, false);
            self.boards += 1;
        }
        Some(told)
    }

    /// The next thing of this name.
    pub async fn wait_for(&mut self, name: &str) -> Told {
        loop {
            let told = self.next().await.unwrap_or_else(|| panic!("the end came before {name}"));
            if told.name == name {
                return told;
            }
        }
    }

    /// Waits until the board is as wanted.
    pub async fn wait_for_board(&mut self, wanted: &[(String, u64, u64)]) {
        while rows(&self.wait_for("leaderboard_updated").await.data) != wanted {}
    }

    /// Waits for a board of this version or a newer one.
    pub async fn wait_for_version(&mut self, version: i64) {
        while self.shown < version {
            self.wait_for("leaderboard_updated").await;
        }
    }

    /// Everything until the end, which comes soon.
    pub async fn rest(&mut self) -> Vec<Told> {
        let all = async {
            let mut all = Vec::new();
            while let Some(told) = self.hear().await {
                all.push(told);
            }
            all
        };
        soon("a listener's end", all).await
    }
}

async fn line(base: &str, protocol: Protocol, token: &str, receive_bytes: Option<usize>) -> Option<Line> {
    let join = format!("40{}", json!({ "token": token }));
    Some(match protocol {
        Protocol::Plain => Line::Plain(WebSocket::open(base, "/api/v1/ws", token, receive_bytes).await?),
        Protocol::Events => Line::Events(Events::open(base, token, receive_bytes).await?),
        Protocol::Polling => {
            let mut line = Polling::open(base).await?;
            line.say(&join).await;
            Line::Polling(line)
        }
        Protocol::SocketIo => {
            let path = "/socket.io/?EIO=4&transport=websocket";
            let mut line = WebSocket::open(base, path, "", receive_bytes).await?;
            line.say(&join).await;
            Line::SocketIo(line)
        }
    })
}

/// An object of `/api/v1/ws`.
fn plain(event: &Value) -> Told {
    Told {
        name: event["event"].as_str().unwrap().to_owned(),
        data: event["data"].clone(),
        version: event["version"].as_i64().unwrap_or_default(),
    }
}

/// What a packet of Socket.IO tells; the other packets keep the connection going.
fn packet_told(packet: &str) -> Option<Told> {
    let other = |name: &str, data| Some(Told { name: name.to_owned(), data, version: 0 });
    if let Some(event) = packet.strip_prefix("42") {
        let [name, data] = serde_json::from_str::<[Value; 2]>(event).unwrap();
        return match name.as_str().unwrap() {
            "scoreboard:update" => {
                let version = data["version"].as_i64().unwrap();
                Some(Told { name: "leaderboard_updated".into(), data: data["top10"].clone(), version })
            }
            "score:personal" => other("score_personal", data),
            name => other(name, data),
        };
    }
    match packet {
        "41" => other("disconnect", Value::Null),
        _ if packet.starts_with("44") => other("connect_error", serde_json::from_str(&packet[2..]).unwrap()),
        _ => None,
    }
}

/// What a busy machine may take for long, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let found = tokio::time::timeout(PATIENCE, future).await;
    found.unwrap_or_else(|_| panic!("waited five minutes for: {what}"))
}

/// A connection to a node, with few bytes kept for it by the kernel if so wanted.
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
