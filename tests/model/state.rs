//! The state of the model: actions, users, tokens and sessions; requests and outcomes.

use serde_json::Value;

use super::calls::{Given, Operation};

/// How an action is proved.
#[derive(Clone, Copy, PartialEq)]
pub enum Proof {
    None,
    Quiz,
    Hashcash,
    /// An hour, which a token is made older by.
    Elapsed,
}

pub struct Action {
    pub name: &'static str,
    pub points: u64,
    pub proof: Proof,
    pub in_game: bool,
    pub daily: bool,
}

const fn action(name: &'static str, points: u64, proof: Proof, in_game: bool) -> Action {
    Action { name, points, proof, in_game, daily: false }
}

/// The catalogue that ships. One more than these is an action that does not exist.
pub const ACTIONS: [Action; 7] = [
    action("watch_ad", 10, Proof::None, true),
    action("solve_puzzle", 15, Proof::None, true),
    action("complete_level", 20, Proof::None, true),
    Action { name: "daily_bonus", points: 5, proof: Proof::None, in_game: true, daily: true },
    action("demo_quiz", 15, Proof::Quiz, false),
    action("demo_hashcash", 15, Proof::Hashcash, false),
    action("demo_elapsed", 10, Proof::Elapsed, false),
];

#[derive(Clone, Default)]
pub struct User {
    pub name: String,
    pub total: u64,
    pub total_since: usize,
    /// What of it others see, were the user not banned.
    pub shown: u64,
    pub shown_since: usize,
    pub banned: bool,
    pub quarantined: bool,
    pub had_daily: bool,
    /// Within the last hour, since no sequence takes so long.
    pub had_elapsed: bool,
    pub session: Option<Session>,
    /// The newest session, which may be over.
    pub newest_session: Option<usize>,
}

#[derive(Clone)]
pub struct Session {
    pub number: usize,
    pub actions: u64,
    pub token: usize,
}

pub enum Kind {
    AntiSpam { action: usize },
    Proven { action: usize, session: Option<usize> },
    Game { session: usize },
}

pub struct Token {
    pub text: String,
    pub owner: usize,
    pub kind: Kind,
    pub used: bool,
    /// Whether it was made older than an `elapsed` proof takes.
    pub aged: bool,
    /// What `init` asked.
    pub challenge: Value,
}

/// A token as a request shows it.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    Known(usize),
    /// Of the shape of an `act_` token.
    MadeUp,
    Malformed,
    Empty,
}

/// A request for the model; `session` is the number of the session that it names, which may be no one's.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    Init { action: usize },
    Finalize { token: Shown, proof: Given },
    Prove { action: Option<usize>, asked: Option<Shown>, proof: Given, session: Option<usize> },
    Redeem { token: Shown, session: Option<usize> },
    Start,
    Look,
    End,
    Update { token: Shown, action: usize, points: i64 },
    Operate(Operation),
}

/// A request as it goes out.
#[derive(Clone, Debug)]
pub struct Request {
    pub who: usize,
    pub path: String,
    pub body: Option<Value>,
    pub key: Option<u8>,
    pub ask: Ask,
}

/// What has to come of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Refused(u16, &'static str),
    /// The first answer under the same key.
    Again(u16, String),
    Issued,
    Proven,
    Started,
    Looked,
    Ended {
        score: u64,
        actions: u64,
    },
    Awarded {
        score: u64,
        rank: u64,
        points: u64,
    },
    Restricted,
    Adjusted {
        score: u64,
    },
}
