//! The flows: the requests that a player sends, in order, and what the next request needs of a response. Nothing here allocates once
//! its buffers have grown.

use std::io::Write;

use clap::ValueEnum;
use memchr::{memchr, memmem};

use super::lane::Lane;
use super::players::Players;

/// Awards of a game session.
const UPDATES: usize = 20;
/// Rounds of a session of the mixed flow.
const ROUNDS: usize = 10;

/// What the clients of a run do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Flow {
    /// init and finalize
    Actions,
    /// start, twenty updates, end
    Game,
    /// the board, as clients that poll it do
    Reads,
    /// a player's own rank
    Rank,
    /// WebSocket, Socket.IO and server-sent events subscribers, while the top player's awards change the board
    Sockets,
    /// all of it: of 20 requests 9 boards, 3 own ranks, 4 game updates, 2 init and 2 finalize; and subscribers
    Mixed,
}

impl Flow {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn has_subscribers(self) -> bool {
        matches!(self, Self::Sockets | Self::Mixed)
    }

    /// Whether only the top player sends requests.
    pub fn is_top_player_only(self) -> bool {
        self == Self::Sockets
    }

    pub fn steps(self) -> Vec<Step> {
        use Step::{Board, End, Finalize, Init, Rank, Start, TopUpdate, Update};
        match self {
            Self::Actions => vec![Init, Finalize],
            Self::Game => [&[Start][..], &[Update; UPDATES], &[End]].concat(),
            Self::Reads => vec![Board],
            Self::Rank => vec![Rank],
            Self::Sockets => vec![TopUpdate],
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

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    Init,
    Finalize,
    Start,
    Update,
    End,
    Board,
    Rank,
    /// An `update` of the top player. It changes the board, and subscribers wait for it.
    TopUpdate,
}

impl Step {
    pub const ALL: [Self; 8] = [
        Self::Init,
        Self::Finalize,
        Self::Start,
        Self::Update,
        Self::End,
        Self::Board,
        Self::Rank,
        Self::TopUpdate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Finalize => "finalize",
            Self::Start => "game start",
            Self::Update => "game update",
            Self::End => "game end",
            Self::Board => "board",
            Self::Rank => "own rank",
            Self::TopUpdate => "top player's update",
        }
    }

    pub fn is_award(self) -> bool {
        matches!(self, Self::Finalize | Self::Update | Self::TopUpdate)
    }

    /// This step, or the one that gets the token it lacks.
    pub fn possible(self, lane: &Lane, has_token: bool) -> Self {
        match self {
            Self::Finalize if !has_token => Self::Init,
            Self::Update | Self::TopUpdate | Self::End if lane.session.is_empty() => Self::Start,
            step => step,
        }
    }

    /// Appends the request's bytes.
    pub fn write(self, lane: &Lane, token: &[u8], players: &Players, out: &mut Vec<u8>) {
        let login = players.login(lane.user);
        match self {
            Self::Init => {
                post(out, "/api/v1/actions/init", login, &[b"{\"actionType\":\"watch_ad\"}"]);
            }
            Self::Finalize => {
                post(out, "/api/v1/actions/finalize", login, &[b"{\"antiSpamToken\":\"", token, b"\"}"]);
            }
            Self::Start => post(out, "/api/game/start", login, &[b"{}"]),
            Self::Update | Self::TopUpdate => {
                let rest = b"\",\"actionType\":\"watch_ad\",\"points\":10}";
                post(out, "/api/score/update", login, &[b"{\"actionToken\":\"", &lane.session, rest]);
            }
            Self::End => post(out, "/api/game/end", login, &[b"{}"]),
            Self::Board => {
                out.extend_from_slice(b"GET /api/v1/scores/leaderboard HTTP/1.1\r\nhost: laurel\r\n\r\n");
            }
            Self::Rank => {
                out.extend_from_slice(b"GET /api/scoreboard/user/");
                out.extend_from_slice(players.id(lane.user));
                out.extend_from_slice(b" HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer ");
                out.extend_from_slice(login);
                out.extend_from_slice(b"\r\n\r\n");
            }
        }
    }

    /// The token in a response's body that the next request needs.
    pub fn token(self, body: &[u8]) -> &[u8] {
        match self {
            Self::Init => text_after(body, b"\"antiSpamToken\":\""),
            Self::Start => text_after(body, b"\"actionToken\":\""),
            Self::Update | Self::TopUpdate => text_after(body, b"\"newActionToken\":\""),
            _ => &[],
        }
    }
}

fn post(out: &mut Vec<u8>, path: &str, login: &[u8], body: &[&[u8]]) {
    out.extend_from_slice(b"POST ");
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer ");
    out.extend_from_slice(login);
    out.extend_from_slice(b"\r\ncontent-type: application/json\r\ncontent-length: ");
    let length: usize = body.iter().map(|part| part.len()).sum();
    let _ = write!(out, "{length}\r\n\r\n");
    body.iter().for_each(|part| out.extend_from_slice(part));
}

/// The text after a name, up to the next quote: no token contains one.
fn text_after<'a>(body: &'a [u8], name: &[u8]) -> &'a [u8] {
    let Some(start) = memmem::find(body, name).map(|at| at + name.len()) else { return &[] };
    memchr(b'"', &body[start..]).map_or(&[], |length| &body[start..start + length])
}
