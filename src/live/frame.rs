//! A board with its encodings, each made once, when the first client needs it, and shared by all.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fanout::{DIALECTS, Dialect};
use super::{Board, Row};

/// A board, ready to be sent.
#[derive(Debug, Default)]
pub struct Frame {
    /// What it shows.
    pub board: Arc<Board>,
    rows: OnceLock<Box<RawValue>>,
    /// Each as it is while the board is known to be the newest, and while it may be stale.
    tags: [OnceLock<Bytes>; 2],
    answers: [OnceLock<Bytes>; 2],
    top10s: [OnceLock<Bytes>; 2],
    told: [OnceLock<Bytes>; DIALECTS],
}

impl Frame {
    /// A frame without encodings yet.
    pub fn new(board: Board) -> Self {
        Self { board: Arc::new(board), ..Self::default() }
    }

    /// The event that tells a listener of this board, in its protocol's words, ready to be written.
    pub fn told(&self, dialect: Dialect) -> Bytes {
        self.told[dialect.index()].get_or_init(|| dialect.board(&self.board)).clone()
    }

    /// What names it among all boards, in quotes: an entity tag (RFC 9110, section 8.8.3). One that may be stale is another text.
    pub fn tag(&self, stale: bool) -> Bytes {
        let made = || format!("\"{}{}\"", self.board.version, if stale { "-stale" } else { "" }).into();
        self.tags[usize::from(stale)].get_or_init(made).clone()
    }

    /// The rows as `/api/v1` shows them: users by their UUID.
    pub fn rows(&self) -> &RawValue {
        self.rows.get_or_init(|| {
            // Numbers and texts alone: that cannot fail.
            to_raw_value(&rows(&self.board)).unwrap_or_default()
        })
    }

    /// The answer of `GET /api/v1/scores/leaderboard`, which says so if the board may be stale.
    pub fn answer(&self, stale: bool) -> Bytes {
        let make = || {
            let mut answer = json!({ "leaderboard": self.rows(), "version": self.board.version });
            if stale {
                answer["stale"] = true.into();
            }
            answer.to_string().into()
        };
        self.answers[usize::from(stale)].get_or_init(make).clone()
    }

    /// The answer of `GET /api/scoreboard/top10`, which says so if the board may be stale.
    pub fn top10(&self, stale: bool) -> Bytes {
        let make = || {
            let mut answer = json!({
                "data": numbered_rows(&self.board),
                "message": "Scoreboard retrieved successfully",
                "statusCode": 200,
                "metadata": { "total": self.board.rows.len() },
            });
            if stale {
                answer["metadata"]["stale"] = true.into();
            }
            answer.to_string().into()
        };
        self.top10s[usize::from(stale)].get_or_init(make).clone()
    }
}

/// The rows as the game API shows them: users by their number.
pub fn numbered_rows(board: &Board) -> Value {
    let row = |row: &Row| json!({ "rank": row.rank, "userId": row.number, "username": row.username, "score": row.score });
    board.rows.iter().map(row).collect()
}

/// The rows as `/api/v1` shows them: users by their UUID.
pub fn rows(board: &Board) -> Vec<Shown<'_>> {
    board.rows.iter().map(Shown::from).collect()
}

/// One of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    user_id: Uuid,
    username: &'a str,
    score: u64,
    rank: u64,
}

impl<'a> From<&'a Row> for Shown<'a> {
    fn from(row: &'a Row) -> Self {
        Self { user_id: row.user, username: &row.username, score: row.score, rank: row.rank }
    }
}
