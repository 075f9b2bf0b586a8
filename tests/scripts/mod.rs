//! Each script alone, on a real Redis, through its Rust function.

mod admin;
mod attempt;
mod board;
pub mod clock;
mod clock_elapsed;
mod clock_walk;
mod issue;
mod judging;
mod lease;
mod opening;
mod prove;
mod redeem;
mod session;
mod shards;
mod ties;

use std::sync::LazyLock;

use laurel::action::{Flow, Limits, ProofResult};
use laurel::store::{BoardEntry, BoardId, Issue, Judging, Redeem, RedeemReply, Store};
use uuid::Uuid;

pub const ANY: Limits =
    Limits { cooldown_ms: 0, cap_per_hour: 0, cap_per_day: 0, opens_at_ms: 0, open_for_ms: 0, span_ms: 0 };

/// What a node can say about a proof.
pub static HOLDS: LazyLock<ProofResult> = LazyLock::new(ProofResult::default);
pub static FAILS: LazyLock<ProofResult> =
    LazyLock::new(|| ProofResult { is_valid: false, ..ProofResult::default() });

pub fn user(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Somebody of the first shard, whatever the number of shards (up to 64, by powers of two): whose tests are of one shard's ten.
pub fn neighbour(number: u128) -> Uuid {
    let all = (0..).map(|it: u128| Uuid::from_u128(it << 64 | number));
    all.into_iter().find(|it| laurel::store::shard_of(it.as_bytes(), 64) == 0).unwrap()
}

/// The number that a user was made of.
pub fn number(user: Uuid) -> u64 {
    user.as_u128() as u64
}

/// An entry of a user that was made of a number.
pub fn board_entry(user: Uuid, score: u64, hlc_us: i64) -> BoardEntry {
    let number = number(user);
    BoardEntry { score, hlc_us, user, number: number as i64, username: format!("u{number}") }
}

/// An `issue` with nothing in its way.
pub fn issue(user: Uuid, token_id: Uuid) -> Issue<'static> {
    Issue {
        user,
        action: "watch_ad",
        points: 10,
        token_id,
        ttl_ms: 30_000,
        per_minute: 0,
        limits: &ANY,
        outbox_max: 1_000_000,
        paced_from: None,
        draws: false,
    }
}

/// A `redeem` with nothing in its way.
pub fn redeem<'a>(user: Uuid, token_id: &'a str) -> Redeem<'a> {
    Redeem {
        board: BoardId::GLOBAL,
        user,
        number: user.as_u128() as i64,
        username: "somebody",
        action: "watch_ad",
        points: 10,
        most_points: 0,
        limits: &ANY,
        attempt_id: token_id.parse().unwrap_or_default(),
        token_id,
        token_hash: "hash",
        flow: Flow::Actions,
        expires_s: i64::from(u32::MAX),
        named_session: "",
        proof: "",
        verdict: &HOLDS,
        judging: Judging::Local,
        per_minute: 0,
        points_per_hour: 0,
        outbox_max: 1_000_000,
        known_version: 0,
        known_top: &Vec::new,
        publish_interval_ms: 0,
        idempotency: None,
        next: None,
        receipt_kid: "kid",
    }
}

/// Issues a token and gives its id.
pub async fn token(store: &Store, user: Uuid) -> String {
    let id = Uuid::new_v4();
    let (outcome, _) = store.issue(&issue(user, id)).await.unwrap();
    assert!(outcome.is_ok(), "{outcome:?}");
    id.to_string()
}

/// Issues and redeems, for so many points.
pub async fn award(store: &Store, user: Uuid, points: u64) -> RedeemReply {
    let id = token(store, user).await;
    let username = format!("u{}", number(user));
    let redeemed = store.redeem(&Redeem { points, username: &username, ..redeem(user, &id) }).await.unwrap();
    assert!(redeemed.outcome.is_ok(), "{redeemed:?}");
    redeemed
}
