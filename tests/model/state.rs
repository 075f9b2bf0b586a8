//! The state of the model: actions, users, tokens and sessions; requests and outcomes.

use serde_json::Value;

use super::calls::{AdminAction, ProofChoice};

/// The proof that an action needs.
#[derive(Clone, Copy, PartialEq)]
pub enum Proof {
    None,
    Quiz,
    Hashcash,
    /// A waiting time. The test backdates tokens instead of waiting.
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

/// The shipped catalogue, and an action of 0 points. The index after the last is an action that does not exist.
pub const ACTIONS: [Action; 8] = [
    action("watch_ad", 10, Proof::None, true),
    action("solve_puzzle", 15, Proof::None, true),
    action("complete_level", 20, Proof::None, true),
    Action { name: "daily_bonus", points: 5, proof: Proof::None, in_game: true, daily: true },
    action("free_run", 0, Proof::None, true),
    action("demo_quiz", 15, Proof::Quiz, false),
    action("demo_hashcash", 15, Proof::Hashcash, false),
    action("demo_elapsed", 10, Proof::Elapsed, false),
];

#[derive(Clone, Default)]
pub struct User {
    pub name: String,
    pub total: u64,
    /// Number of the event that changed the total.
    pub total_since: usize,
    /// The total without held points. A ban does not change it.
    pub board_score: u64,
    pub board_score_since: usize,
    pub banned: bool,
    pub quarantined: bool,
    pub has_daily_award: bool,
    /// No sequence takes as long as the waiting time, so a second award is always too early.
    pub has_elapsed_award: bool,
    /// Awards of `free_run`.
    pub runs: u32,
    pub session: Option<Session>,
    /// The newest session, which may have ended.
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
    /// True if the test backdated the token by the time of an `elapsed` proof.
    pub is_backdated: bool,
    /// The challenge in the response of `init`.
    pub challenge: Value,
}

/// The token in a request, as the model sees it.
#[derive(Clone, Copy, Debug)]
pub enum TokenRef {
    /// The index of an issued token.
    Issued(usize),
    /// A text in the format of an `act_` token that was never issued.
    Random,
    Malformed,
    Empty,
}

/// A request for the model. `session` is the number of the session that it names, which may not exist.
#[derive(Clone, Copy, Debug)]
pub enum RequestKind {
    Init { action: usize },
    Finalize { token: TokenRef, proof: ProofChoice },
    Prove { action: Option<usize>, anti_spam: Option<TokenRef>, proof: ProofChoice, session: Option<usize> },
    Redeem { token: TokenRef, session: Option<usize> },
    Start,
    GetSession,
    End,
    Update { token: TokenRef, action: usize, points: i64 },
    Admin(AdminAction),
}

/// A request to a node.
#[derive(Clone, Debug)]
pub struct Request {
    pub user: usize,
    pub path: String,
    pub body: Option<Value>,
    pub key: Option<u8>,
    pub kind: RequestKind,
}

/// The expected outcome of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Refused(u16, &'static str),
    /// The first response under the same idempotency key: status and body.
    Replayed(u16, String),
    Issued,
    Proven,
    Started,
    SessionRead,
    Ended {
        score: u64,
        actions: u64,
    },
    Awarded {
        score: u64,
        rank: Option<u64>,
        points: u64,
    },
    Restricted,
    Adjusted {
        score: u64,
    },
}
