//! The requests: the bytes of each, and what of its answer the next one needs. Nothing here allocates once its buffers have grown.

use std::io::Write;

use memchr::{memchr, memmem};
use serde::Serialize;

use super::lane::Lane;
use super::players::Players;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Init,
    Finalize,
    Start,
    Update,
    End,
    Board,
    Rank,
    /// An `update` of the player who leads: it changes the board, and listeners wait for it.
    LeaderLock,
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
        Self::LeaderLock,
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
            Self::LeaderLock => "leader's update",
        }
    }

    pub fn is_award(self) -> bool {
        matches!(self, Self::Finalize | Self::Update | Self::LeaderLock)
    }

    /// What can be asked instead, for want of a token.
    pub fn possible(self, lane: &Lane, has_token: bool) -> Self {
        match self {
            Self::Finalize if !has_token => Self::Init,
            Self::Update | Self::LeaderLock | Self::End if lane.session.is_empty() => Self::Start,
            step => step,
        }
    }

    /// Writes the request.
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
            Self::Update | Self::LeaderLock => {
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

    /// The token in the answer's body that the next request has to bring.
    pub fn token(self, body: &[u8]) -> &[u8] {
        match self {
            Self::Init => text(body, b"\"antiSpamToken\":\""),
            Self::Start => text(body, b"\"actionToken\":\""),
            Self::Update | Self::LeaderLock => text(body, b"\"newActionToken\":\""),
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
    let length: usize = body.iter().map(|it| it.len()).sum();
    let _ = write!(out, "{length}\r\n\r\n");
    body.iter().for_each(|it| out.extend_from_slice(it));
}

/// The text after a name, to the next quote: no token has one.
fn text<'a>(body: &'a [u8], name: &[u8]) -> &'a [u8] {
    let Some(from) = memmem::find(body, name).map(|it| it + name.len()) else { return &[] };
    memchr(b'"', &body[from..]).map_or(&[], |length| &body[from..from + length])
}

/// The number after a name.
pub fn number(body: &[u8], name: &[u8]) -> Option<u64> {
    let from = memmem::find(body, name)? + name.len();
    let digits = body[from..].iter().take_while(|it| it.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
