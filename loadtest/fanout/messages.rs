//! Messages between the load test and its worker processes: one line of JSON each.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

/// How a client subscribes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Protocol {
    WebSocket,
    SocketIo,
    Events,
    /// WebSocket frames without a handshake, as the bare `send` loop sends them.
    BareSend,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::SocketIo => "Socket.IO",
            Self::Events => "SSE",
            Self::BareSend => "bare `send`",
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub enum WorkerCommand {
    /// Connect more clients. The reply is `Done` once all have a board.
    Connect { protocol: Protocol, count: usize, address: SocketAddrV4, max_concurrent_handshakes: usize },
    /// The reply is `Received` once all clients have this version or a newer one.
    AwaitVersion { version: u64 },
    /// The reply is `Report` with the counts since the last report.
    Report,
}

#[derive(Debug, Deserialize, Serialize)]
pub enum WorkerReply {
    Done,
    /// Microseconds from the change to the last client.
    Received {
        last_us: u64,
    },
    Report(Report),
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    pub deliveries: u64,
    /// Boards that were not newer than the client's previous one.
    pub violations: u64,
    /// Refused handshakes.
    pub refused: u64,
    /// A histogram of microseconds from a change to a client: values and their counts.
    pub times: Vec<(u64, u64)>,
}
