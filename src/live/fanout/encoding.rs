//! The bytes of each event in each protocol, and why and how a connection is closed.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::account::Identity;
use crate::clock::rfc3339;
use crate::entries::EntryBody;
use crate::health::Status;
use crate::live::boards::{OwnEntry, TopEntries};
use crate::live::{Board, numbered_rows, rows, websocket};
use crate::store::PersonalUpdate;

/// After a drain a client reconnects within this range, in ms.
const RETRY_MS: Range<u64> = 200..2000;

/// The protocol of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `/api/v1/ws`: one JSON object per frame.
    WebSocket,
    /// Socket.IO over a WebSocket.
    SocketIo,
    /// Socket.IO over long polling: the same packets without frames.
    SocketIoPolling,
    /// Server-sent events with the objects of `/api/v1/ws` as their data.
    ServerSentEvents,
}

/// How events are encoded for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether boards are compressed. Events for a single client are not: compressing one would cost more than it saves.
    pub compressed: bool,
}

/// Number of encodings.
pub const ENCODINGS: usize = 8;

/// A user's ids: the game API uses the number, `/api/v1` the UUID.
#[derive(Clone, Copy, Debug)]
pub struct UserIds {
    /// The UUID.
    pub user: uuid::Uuid,
    /// The serial number.
    pub number: i64,
}

impl Encoding {
    /// Its index among all encodings.
    pub fn index(self) -> usize {
        self.protocol as usize * 2 + usize::from(self.compressed)
    }

    /// The protocol's label value in metrics.
    pub fn label(self) -> &'static str {
        match self.protocol {
            Protocol::WebSocket => "websocket",
            Protocol::SocketIo | Protocol::SocketIoPolling => "socketio",
            Protocol::ServerSentEvents => "events",
        }
    }

    /// The first event, which names the connected user; `None` is a client without a login.
    pub fn greeting(self, caller: Option<&Identity>) -> Bytes {
        let mut data = json!({ "message": "Connected successfully" });
        if let Some(caller) = caller {
            data["userId"] =
                if self.is_game_api() { caller.number.into() } else { caller.user.to_string().into() };
            data["username"] = caller.username.as_str().into();
        }
        let greeting = self.event("connect_success", "connect_success", data);
        match self {
            Self { protocol: Protocol::ServerSentEvents, compressed: true } => {
                [websocket::GZIP_HEADER, &greeting].concat().into()
            }
            _ => greeting,
        }
    }

    /// The top list.
    pub fn board(self, board: &Board) -> Bytes {
        let (version, timestamp) = (board.version, rfc3339(board.changed_at_ms()));
        let text = if self.is_game_api() {
            let data = json!({ "top10": numbered_rows(board), "version": version, "timestamp": timestamp });
            self.text("", &json!(["scoreboard:update", data]))
        } else {
            let name = "leaderboard_updated";
            let data = rows(board);
            self.text(
                name,
                &json!({ "event": name, "data": data, "version": version, "timestamp": timestamp }),
            )
        };
        self.shared_frame(text)
    }

    /// The best entries of a board that clients subscribe to by name.
    pub fn board_updated(self, address: &str, top: &TopEntries) -> Bytes {
        let entries: Vec<EntryBody<'_>> = top.entries.iter().map(EntryBody::new).collect();
        let mut data = json!({
            "board": address,
            "period": top.period,
            "entries": entries,
            "version": top.version,
            "timestamp": rfc3339(top.version / 1000),
        });
        if top.is_stale {
            data["stale"] = true.into();
        }
        self.shared_frame(self.event_text("board_updated", "board:update", data))
    }

    /// A player's own entry of such a board; all numbers are null if there is none any more.
    pub fn board_personal(self, address: &str, own: &OwnEntry) -> Bytes {
        let entry = own.entry.as_ref();
        let data = json!({
            "board": address,
            "period": own.period,
            "rank": entry.map(|entry| entry.rank),
            "position": entry.map(|entry| entry.position),
            "score": entry.map(|entry| entry.result.score),
        });
        self.event("board_personal", "board:personal", data)
    }

    /// A player's own award.
    pub fn personal_update(self, ids: UserIds, update: PersonalUpdate) -> Bytes {
        let user: Value = if self.is_game_api() { ids.number.into() } else { ids.user.to_string().into() };
        let data = json!({
            "userId": user,
            "score": update.score,
            "rank": update.rank,
            "pointsEarned": update.points,
            "previousRank": update.rank_before,
        });
        self.event("score_personal", "score:personal", data)
    }

    /// Redis stopped or resumed answering.
    pub fn status(self, status: Status) -> Bytes {
        let data = json!({ "degraded": status.degraded, "asOf": rfc3339(status.as_of_ms) });
        self.event("status", "status", data)
    }

    /// A ping, or a comment that keeps an event stream open; `None` for long polling, where the Engine.IO session pings.
    pub fn ping(self) -> Option<Bytes> {
        match self.protocol {
            Protocol::WebSocket => Some(websocket::ping()),
            Protocol::SocketIo => Some(websocket::text("2")),
            Protocol::ServerSentEvents => Some(self.frame(":\n\n".to_owned())),
            Protocol::SocketIoPolling => None,
        }
    }

    /// Whether clients answer pings. A reader of server-sent events cannot: TCP notices that it is gone.
    pub fn answers_pings(self) -> bool {
        matches!(self.protocol, Protocol::WebSocket | Protocol::SocketIo)
    }

    /// The last bytes before the connection closes. A Socket.IO client reconnects by itself, unless it gets a disconnect packet.
    pub fn farewell(self, reason: &CloseReason) -> Vec<Bytes> {
        let disconnects = self.is_game_api() && reason.is_final();
        match self.protocol {
            Protocol::WebSocket => vec![websocket::close(Some((reason.code(), &reason.text())))],
            Protocol::SocketIo if disconnects => vec![websocket::text("41"), websocket::close(None)],
            Protocol::SocketIo => vec![websocket::close(None)],
            Protocol::SocketIoPolling if disconnects => vec![Bytes::from_static(b"41")],
            Protocol::SocketIoPolling => vec![],
            Protocol::ServerSentEvents => vec![self.frame(format!("retry: {}\n\n", reason.retry_ms()))],
        }
    }

    /// Whether events have the game API's names and user numbers.
    fn is_game_api(self) -> bool {
        matches!(self.protocol, Protocol::SocketIo | Protocol::SocketIoPolling)
    }

    fn event(self, name: &str, game_api_name: &str, data: Value) -> Bytes {
        self.frame(self.event_text(name, game_api_name, data))
    }

    fn event_text(self, name: &str, game_api_name: &str, data: Value) -> String {
        if self.is_game_api() {
            self.text("", &json!([game_api_name, data]))
        } else {
            self.text(name, &json!({ "event": name, "data": data }))
        }
    }

    fn text(self, name: &str, event: &Value) -> String {
        match self.protocol {
            Protocol::WebSocket => event.to_string(),
            Protocol::SocketIo | Protocol::SocketIoPolling => format!("42{event}"),
            Protocol::ServerSentEvents => format!("event: {name}\ndata: {event}\n\n"),
        }
    }

    /// The bytes of an event that many clients get, compressed for those that accept it.
    fn shared_frame(self, text: String) -> Bytes {
        match self.protocol {
            Protocol::WebSocket | Protocol::SocketIo if self.compressed => websocket::compressed_text(&text),
            Protocol::ServerSentEvents if self.compressed => {
                websocket::compressed_block(text.as_bytes()).into()
            }
            _ => self.frame(text),
        }
    }

    fn frame(self, text: String) -> Bytes {
        match self.protocol {
            Protocol::WebSocket | Protocol::SocketIo => websocket::text(text),
            Protocol::ServerSentEvents if self.compressed => websocket::stored_block(text.as_bytes()).into(),
            Protocol::SocketIoPolling | Protocol::ServerSentEvents => text.into(),
        }
    }
}

/// Why the node closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client broke the protocol; the close code says how.
    ProtocolError(u16),
    /// The client sent too many messages.
    TooManyMessages,
    /// The client read nothing for too long.
    TooSlow,
    /// The login expired.
    LoginExpired,
    /// The user is banned.
    Banned,
    /// The node stops.
    Draining {
        /// When the client should reconnect, in ms from now.
        retry_ms: u64,
    },
}

impl CloseReason {
    /// The node stops. Each client gets another delay, so that they do not all reconnect at once.
    pub fn draining() -> Self {
        Self::Draining { retry_ms: rand::random_range(RETRY_MS) }
    }

    /// The close code: from RFC 6455, or our own from 4000.
    pub fn code(&self) -> u16 {
        match self {
            Self::ProtocolError(code) => *code,
            Self::TooManyMessages => 1008,
            Self::Draining { .. } => 1012,
            Self::TooSlow => 4008,
            Self::LoginExpired | Self::Banned => 4401,
        }
    }

    /// The text of the close frame.
    pub fn text(&self) -> String {
        match self {
            Self::ProtocolError(_) => String::new(),
            Self::TooManyMessages => "too many messages".into(),
            Self::TooSlow => "the client read too slowly".into(),
            Self::LoginExpired => "the login expired".into(),
            Self::Banned => "this account is banned".into(),
            Self::Draining { retry_ms } => format!("retry in {retry_ms} ms"),
        }
    }

    /// Whether the client must not reconnect with the same login.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::LoginExpired | Self::Banned)
    }

    /// When an event stream's client should reconnect, in ms.
    pub fn retry_ms(&self) -> u64 {
        match self {
            Self::Draining { retry_ms } => *retry_ms,
            _ if self.is_final() => 60_000,
            _ => 1000,
        }
    }
}
