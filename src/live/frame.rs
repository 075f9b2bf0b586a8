//! A board with its encodings, each made once, when the first client needs it, and shared by all.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Value, json};

use super::fanout::{DIALECTS, Dialect};
use super::{Board, Row};

/// A board, ready to be sent.
#[derive(Debug, Default)]
pub struct Frame {
    /// What it shows.
    pub board: Arc<Board>,
    /// Each as it is while the board is known to be the newest, and while it may be stale.
    answers: [OnceLock<Bytes>; 2],
    top10s: [OnceLock<Bytes>; 2],
    told: [OnceLock<Bytes>; DIALECTS],
}

impl Frame {
    /// A frame without encodings yet.
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, ..Self::default() }
    }

    /// The event that tells a listener of this board, in its protocol's words, ready to be written.
    pub fn told(&self, dialect: Dialect) -> Bytes {
        self.told[dialect.index()].get_or_init(|| dialect.board(&self.board)).clone()
    }

    /// The answer of `GET /api/v1/scores/leaderboard`, which says so if the board may be stale.
    pub fn answer(&self, stale: bool) -> Bytes {
        let make = || {
            let mut answer = json!({ "leaderboard": rows(&self.board), "version": self.board.version });
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
pub fn rows(board: &Board) -> Value {
    let row = |row: &Row| json!({ "userId": row.user, "username": row.username, "score": row.score, "rank": row.rank });
    board.rows.iter().map(row).collect()
}
