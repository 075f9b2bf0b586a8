//! The flows: what a player does, step by step, and from the beginning again.

use clap::ValueEnum;
use serde::Serialize;

use super::step::Step;

/// Awards of one game session.
const UPDATES: usize = 20;
/// Of the mixed flow's session: so many rounds.
const ROUNDS: usize = 10;

/// What the clients of a run do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// init and finalize
    Actions,
    /// start, twenty updates, end
    Game,
    /// the board, as clients that poll it do
    Reads,
    /// a player's own rank
    Rank,
    /// WebSocket, Socket.IO and SSE listeners while the leader's awards change the board
    Sockets,
    /// all of it: of 20 requests 9 boards, 3 own ranks, 4 game updates, 2 init and 2 finalize; and listeners
    Mixed,
}

impl Flow {
    pub fn name(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Game => "game",
            Self::Reads => "reads",
            Self::Rank => "rank",
            Self::Sockets => "sockets",
            Self::Mixed => "mixed",
        }
    }

    pub fn has_listeners(self) -> bool {
        matches!(self, Self::Sockets | Self::Mixed)
    }

    /// Whether the board's leader is needed for it, and nobody else.
    pub fn is_the_leaders(self) -> bool {
        self == Self::Sockets
    }

    pub fn steps(self) -> Vec<Step> {
        use Step::{Board, End, Finalize, Init, LeaderLock, Rank, Start, Update};
        match self {
            Self::Actions => vec![Init, Finalize],
            Self::Game => [&[Start][..], &[Update; UPDATES], &[End]].concat(),
            Self::Reads => vec![Board],
            Self::Rank => vec![Rank],
            Self::Sockets => vec![LeaderLock],
            Self::Mixed => {
                let round = [
                    Board, Update, Board, Rank, Board, Init, Board, Finalize, Board, Update, Rank, Board,
                    Update, Board, Init, Board, Finalize, Rank, Board, Update,
                ];
                [&[Start][..], &round.repeat(ROUNDS), &[End]].concat()
            }
        }
    }
}
