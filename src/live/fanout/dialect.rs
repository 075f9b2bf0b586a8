//! The words of each protocol (contract, section 7): what is told is the same.

use bytes::Bytes;
use serde_json::{Value, json};

use super::End;
use crate::account::Identity;
use crate::clock::rfc3339;
use crate::live::{Board, Status, numbered_rows, rows, websocket};
use crate::store::PersonalNews;

/// What carries a listener's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `/api/v1/ws`: one JSON object a frame.
    Plain,
    /// Socket.IO over a WebSocket.
    SocketIo,
    /// Socket.IO over long polling: the same packets without frames.
    Polling,
    /// Server-sent events: the objects of `/api/v1/ws` as their data.
    Events,
}

/// How a listener is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What carries it.
    pub protocol: Protocol,
    /// Whether the board is packed. Nothing else is: to pack what is one client's alone would cost more than it saves.
    pub packed: bool,
}

/// How many dialects there are.
pub const DIALECTS: usize = 8;

/// Whom personal news is for: as the game API names users, and as `/api/v1` does.
#[derive(Clone, Copy, Debug)]
pub struct Addressee {
    /// The user's UUID.
    pub user: uuid::Uuid,
    /// The user's serial number.
    pub number: i64,
}

impl Dialect {
    /// Its place among all of them.
    pub fn index(self) -> usize {
        self.protocol as usize * 2 + usize::from(self.packed)
    }

    /// The protocol's name among the metrics.
    pub fn name(self) -> &'static str {
        match self.protocol {
            Protocol::Plain => "websocket",
            Protocol::SocketIo | Protocol::Polling => "socketio",
            Protocol::Events => "events",
        }
    }

    /// The first event: who is connected; `None` is a spectator.
    pub fn greeting(self, caller: Option<&Identity>) -> Bytes {
        let mut data = json!({ "message": "Connected successfully" });
        if let Some(caller) = caller {
            data["userId"] =
                if self.is_game_api() { caller.number.into() } else { caller.user.to_string().into() };
            data["username"] = caller.username.as_str().into();
        }
        let greeting = self.event("connect_success", "connect_success", data);
        match self {
            Self { protocol: Protocol::Events, packed: true } => [websocket::GZIP, &greeting].concat().into(),
            _ => greeting,
        }
    }

    /// The ten best.
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
        match self.protocol {
            Protocol::Plain | Protocol::SocketIo if self.packed => websocket::packed_text(&text),
            Protocol::Events if self.packed => websocket::flush(text.as_bytes()).into(),
            _ => self.frame(text),
        }
    }

    /// A player's own award.
    pub fn news(self, whose: Addressee, news: PersonalNews) -> Bytes {
        let user: Value =
            if self.is_game_api() { whose.number.into() } else { whose.user.to_string().into() };
        let data = json!({
            "userId": user,
            "score": news.score,
            "rank": news.rank,
            "pointsEarned": news.points,
            "previousRank": news.rank_before,
        });
        self.event("score_personal", "score:personal", data)
    }

    /// Redis went or came.
    pub fn status(self, status: Status) -> Bytes {
        let data = json!({ "degraded": status.degraded, "asOf": rfc3339(status.as_of_ms) });
        self.event("status", "status", data)
    }

    /// What the client answers if it lives; `None` where something else asks.
    pub fn ping(self) -> Option<Bytes> {
        match self.protocol {
            Protocol::Plain => Some(websocket::ping()),
            Protocol::SocketIo => Some(websocket::text("2")),
            Protocol::Events => Some(self.frame(":\n\n".to_owned())),
            // Engine.IO's session does, as long as it polls.
            Protocol::Polling => None,
        }
    }

    /// Whether a ping is answered. A reader of events says nothing: TCP finds out that it is gone.
    pub fn answers_pings(self) -> bool {
        matches!(self.protocol, Protocol::Plain | Protocol::SocketIo)
    }

    /// The last words. Over Socket.IO a client that hears none comes back by itself, and one that hears a disconnect packet
    /// does not.
    pub fn farewell(self, why: &End) -> Vec<Bytes> {
        let last = self.is_game_api() && why.is_for_good();
        match self.protocol {
            Protocol::Plain => vec![websocket::close(Some((why.code(), &why.reason())))],
            Protocol::SocketIo if last => vec![websocket::text("41"), websocket::close(None)],
            Protocol::SocketIo => vec![websocket::close(None)],
            Protocol::Polling if last => vec![Bytes::from_static(b"41")],
            Protocol::Polling => vec![],
            Protocol::Events => vec![self.frame(format!("retry: {}\n\n", why.retry_ms()))],
        }
    }

    /// Whether the game API's words are used: its names of events, and users by their number.
    fn is_game_api(self) -> bool {
        matches!(self.protocol, Protocol::SocketIo | Protocol::Polling)
    }

    fn event(self, plain: &str, game_api: &str, data: Value) -> Bytes {
        self.frame(if self.is_game_api() {
            self.text("", &json!([game_api, data]))
        } else {
            self.text(plain, &json!({ "event": plain, "data": data }))
        })
    }

    fn text(self, name: &str, event: &Value) -> String {
        match self.protocol {
            Protocol::Plain => event.to_string(),
            Protocol::SocketIo | Protocol::Polling => format!("42{event}"),
            Protocol::Events => format!("event: {name}\ndata: {event}\n\n"),
        }
    }

    fn frame(self, text: String) -> Bytes {
        match self.protocol {
            Protocol::Plain | Protocol::SocketIo => websocket::text(text),
            Protocol::Events if self.packed => websocket::store(text.as_bytes()).into(),
            Protocol::Polling | Protocol::Events => text.into(),
        }
    }
}
