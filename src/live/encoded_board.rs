//! A board with its encodings. Each encoding is made once, for the first client that needs it, and shared by all.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fanout::{ENCODINGS, Encoding};
use super::{Board, Row};

/// A board, ready to be sent. Where there are two of an encoding, the second says that the board may be stale.
#[derive(Debug, Default)]
pub struct EncodedBoard {
    /// The board itself.
    pub board: Arc<Board>,
    rows: OnceLock<Box<RawValue>>,
    etags: [OnceLock<Bytes>; 2],
    leaderboards: [OnceLock<Bytes>; 2],
    top10s: [OnceLock<Bytes>; 2],
    events: [OnceLock<Bytes>; ENCODINGS],
}

impl EncodedBoard {
    /// A board without encodings yet.
    pub fn new(board: Board) -> Self {
        Self { board: Arc::new(board), ..Self::default() }
    }

    /// The board event of a protocol, ready to be written.
    pub fn event(&self, encoding: Encoding) -> Bytes {
        self.events[encoding.index()].get_or_init(|| encoding.board(&self.board)).clone()
    }

    /// The entity tag, in quotes (RFC 9110, section 8.8.3).
    pub fn etag(&self, stale: bool) -> Bytes {
        let make = || format!("\"{}{}\"", self.board.version, if stale { "-stale" } else { "" }).into();
        self.etags[usize::from(stale)].get_or_init(make).clone()
    }

    /// The rows with UUIDs, as in `/api/v1`.
    pub fn rows(&self) -> &RawValue {
        self.rows.get_or_init(|| {
            // Only numbers and strings: this cannot fail.
            to_raw_value(&rows(&self.board)).unwrap_or_default()
        })
    }

    /// The body of `GET /api/v1/scores/leaderboard`.
    pub fn leaderboard(&self, stale: bool) -> Bytes {
        let make = || {
            let mut body = json!({ "leaderboard": self.rows(), "version": self.board.version });
            if stale {
                body["stale"] = true.into();
            }
            body.to_string().into()
        };
        self.leaderboards[usize::from(stale)].get_or_init(make).clone()
    }

    /// The body of `GET /api/scoreboard/top10`.
    pub fn top10(&self, stale: bool) -> Bytes {
        let make = || {
            let mut body = json!({
                "data": numbered_rows(&self.board),
                "message": "Scoreboard retrieved successfully",
                "statusCode": 200,
                "metadata": { "total": self.board.rows.len() },
            });
            if stale {
                body["metadata"]["stale"] = true.into();
            }
            body.to_string().into()
        };
        self.top10s[usize::from(stale)].get_or_init(make).clone()
    }
}

/// The rows with user numbers, as in the game API.
pub fn numbered_rows(board: &Board) -> Value {
    let row = |row: &Row| json!({ "rank": row.rank, "userId": row.number, "username": row.username, "score": row.score });
    board.rows.iter().map(row).collect()
}

/// The rows with UUIDs, as in `/api/v1`.
pub fn rows(board: &Board) -> Vec<RowBody<'_>> {
    board.rows.iter().map(RowBody::from).collect()
}

/// The JSON of a row in `/api/v1`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowBody<'a> {
    user_id: Uuid,
    username: &'a str,
    score: u64,
    rank: u64,
}

impl<'a> From<&'a Row> for RowBody<'a> {
    fn from(row: &'a Row) -> Self {
        Self { user_id: row.user, username: &row.username, score: row.score, rank: row.rank }
    }
}
