//! What the measuring process and its workers say to each other: a line of JSON each.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

/// How a client listens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Protocol {
    WebSocket,
    SocketIo,
    Events,
    /// Frames of a WebSocket without a handshake: what the floor's bare loop sends.
    Bare,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::SocketIo => "Socket.IO",
            Self::Events => "SSE",
            Self::Bare => "bare `send`",
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub enum Order {
    /// So many more clients connect, so many handshakes at once. Done: all have a board.
    Connect { protocol: Protocol, count: usize, address: SocketAddrV4, at_once: usize },
    /// Has: all have this version, or a newer one.
    Await { version: u64 },
    /// From now on whoever loses the connection comes back, to one of these.
    Flee { to: Vec<SocketAddrV4>, lost_from_us: u64 },
    /// Settled: all are connected to where they should flee to, and have a board.
    Settle,
    /// What was counted since the last report.
    Report,
}

#[derive(Debug, Deserialize, Serialize)]
pub enum Reply {
    Done,
    /// How late the last client had it.
    Has {
        last_us: u64,
    },
    /// When the last client was back.
    Settled {
        at_us: u64,
    },
    Report(Report),
}

/// Histograms are given as values with their counts.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    pub deliveries: u64,
    /// Boards that were not newer than what the client had.
    pub violations: u64,
    pub refused: u64,
    /// Microseconds from a change to a client.
    pub times: Vec<(u64, u64)>,
    /// Milliseconds without a connection.
    pub away: Vec<(u64, u64)>,
    /// Connections lost in each second.
    pub closed: Vec<u64>,
}
