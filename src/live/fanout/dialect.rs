//! The words of each protocol (contract, section 7): what is told is the same.

use bytes::Bytes;
use serde_json::{Value, json};

use super::End;
use crate::account::Identity;
use crate::clock::rfc3339;
use crate::live::{Board, Status, numbered_rows, rows, websocket};
use crate::store::PersonalNews;

/// How a listener is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/v1/ws`: one JSON object a frame.
    Plain,
    /// Socket.IO over a WebSocket.
    SocketIo,
    /// Socket.IO over long polling: the same packets without frames.
    Polling,
    /// Server-sent events: the objects of `/api/v1/ws` as their data.
    Events,
}

/// How many dialects there are.
pub const DIALECTS: usize = 4;

/// Whom personal news is for: as the game API names users, and as `/api/v1` does.
#[derive(Clone, Copy, Debug)]
pub struct Addressee {
    /// The user's UUID.
    pub user: uuid::Uuid,
    /// The user's serial number.
    pub number: i64,
}

impl Dialect {
    /// The protocol's name among the metrics.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Plain => "websocket",
            Self::SocketIo | Self::Polling => "socketio",
            Self::Events => "events",
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
        self.event("connect_success", "connect_success", data)
    }

    /// The ten best.
    pub fn board(self, board: &Board) -> Bytes {
        let (version, timestamp) = (board.version, rfc3339(board.changed_at_ms()));
        if self.is_game_api() {
            let data = json!({ "top10": numbered_rows(board), "version": version, "timestamp": timestamp });
            return self.event("", "scoreboard:update", data);
        }
        let name = "leaderboard_updated";
        let event = json!({ "event": name, "data": rows(board), "version": version, "timestamp": timestamp });
        self.frame(name, &event)
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
        match self {
            Self::Plain => Some(websocket::ping()),
            Self::SocketIo => Some(websocket::text("2")),
            Self::Events => Some(Bytes::from_static(b":\n\n")),
            // Engine.IO's session does, as long as it polls.
            Self::Polling => None,
        }
    }

    /// Whether a ping is answered. A reader of events says nothing: TCP finds out that it is gone.
    pub fn answers_pings(self) -> bool {
        matches!(self, Self::Plain | Self::SocketIo)
    }

    /// The last words. Over Socket.IO a client that hears none comes back by itself, and one that hears a disconnect packet
    /// does not.
    pub fn farewell(self, why: &End) -> Vec<Bytes> {
        let last = self.is_game_api() && why.is_for_good();
        match self {
            Self::Plain => vec![websocket::close(Some((why.code(), &why.reason())))],
            Self::SocketIo if last => vec![websocket::text("41"), websocket::close(None)],
            Self::SocketIo => vec![websocket::close(None)],
            Self::Polling if last => vec![Bytes::from_static(b"41")],
            Self::Polling => vec![],
            Self::Events => vec![format!("retry: {}\n\n", why.retry_ms()).into()],
        }
    }

    /// Whether the game API's words are used: its names of events, and users by their number.
    fn is_game_api(self) -> bool {
        matches!(self, Self::SocketIo | Self::Polling)
    }

    fn event(self, plain: &str, game_api: &str, data: Value) -> Bytes {
        if self.is_game_api() {
            self.frame(game_api, &json!([game_api, data]))
        } else {
            self.frame(plain, &json!({ "event": plain, "data": data }))
        }
    }

    fn frame(self, name: &str, event: &Value) -> Bytes {
        match self {
            Self::Plain => websocket::text(event.to_string()),
            Self::SocketIo => websocket::text(format!("42{event}")),
            Self::Polling => format!("42{event}").into(),
            Self::Events => format!("event: {name}\ndata: {event}\n\n").into(),
        }
    }
}
