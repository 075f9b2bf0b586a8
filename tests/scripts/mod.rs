//! Each script alone, on a real Redis, through its Rust function.

pub mod admin;
mod board;
mod board_opening;
pub mod clock;
pub mod entries;
mod issue;
mod prove;
mod random_clock;
mod rate_limits;
mod redeem;
mod reservation;
mod session;
mod shards;
mod ties;

use std::sync::Arc;
use std::sync::LazyLock;

use laurel::action::{Flow, Limits, ProofResult};
use laurel::store::{
    AwardReply, BoardEntry, BoardId, Issue, Judging, Redeem, RedeemReply, ScriptRefusal, Store,
};
use uuid::Uuid;

pub const NO_LIMITS: Limits =
    Limits { cooldown_ms: 0, cap_per_hour: 0, cap_per_day: 0, opens_at_ms: 0, open_for_ms: 0, span_ms: 0 };

/// A proof that passes.
pub static VALID_PROOF: LazyLock<ProofResult> = LazyLock::new(ProofResult::default);
/// A proof that fails.
pub static INVALID_PROOF: LazyLock<ProofResult> =
    LazyLock::new(|| ProofResult { is_valid: false, ..ProofResult::default() });

pub fn user(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A user in the first shard, for 1 to 64 shards (powers of two). Tests of one shard's top list need such users.
pub fn first_shard_user(number: u128) -> Uuid {
    let mut users = (0..).map(|prefix: u128| Uuid::from_u128(prefix << 64 | number));
    users.find(|user| laurel::store::shard_of(user.as_bytes(), 64) == 0).unwrap()
}

/// The number that a user was made from.
pub fn number(user: Uuid) -> u64 {
    user.as_u128() as u64
}

/// A board entry of a user that was made from a number.
pub fn board_entry(user: Uuid, score: u64, hlc_us: i64) -> BoardEntry {
    let number = number(user);
    BoardEntry { score, hlc_us, user, number: number as i64, username: format!("u{number}") }
}

/// An `issue` call that no limit refuses.
pub fn issue(user: Uuid, token_id: Uuid) -> Issue<'static> {
    Issue {
        user,
        action: "watch_ad",
        points: 10,
        token_id,
        ttl_ms: 30_000,
        per_minute: 0,
        limits: &NO_LIMITS,
        outbox_max: 1_000_000,
        paced_from: None,
        draws: false,
    }
}

/// A `redeem` call that no limit refuses.
pub fn redeem<'a>(user: Uuid, token_id: &'a str) -> Redeem<'a> {
    Redeem {
        board: BoardId::GLOBAL,
        user,
        number: user.as_u128() as i64,
        username: "player",
        action: "watch_ad",
        points: 10,
        most_points: 0,
        limits: &NO_LIMITS,
        attempt_id: token_id.parse().unwrap_or_default(),
        token_id,
        token_hash: "hash",
        flow: Flow::Actions,
        expires_s: i64::from(u32::MAX),
        named_session: "",
        proof: "",
        verdict: &VALID_PROOF,
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
        attempts: None,
    }
}

/// Issues a token and returns its id.
pub async fn token(store: &Arc<Store>, user: Uuid) -> String {
    let id = Uuid::new_v4();
    let (outcome, _) = store.issue(&issue(user, id)).await.unwrap();
    assert!(outcome.is_ok(), "{outcome:?}");
    id.to_string()
}

/// Issues a token and redeems it for this number of points.
pub async fn award(store: &Arc<Store>, user: Uuid, points: u64) -> RedeemReply {
    award_result(store, user, "watch_ad", points, &VALID_PROOF).await
}

/// Issues a token for an action and redeems it with what its proof established.
pub async fn award_result(
    store: &Arc<Store>,
    user: Uuid,
    action: &str,
    points: u64,
    verdict: &ProofResult,
) -> RedeemReply {
    let id = Uuid::new_v4();
    let (issued, _) = store.issue(&Issue { action, points, ..issue(user, id) }).await.unwrap();
    assert!(issued.is_ok(), "{issued:?}");
    let (token_id, username) = (id.to_string(), format!("u{}", number(user)));
    let call = Redeem { action, points, username: &username, verdict, ..redeem(user, &token_id) };
    let redeemed = store.redeem(&call).await.unwrap();
    assert!(redeemed.outcome.is_ok(), "{redeemed:?}");
    redeemed
}

/// The award of an outcome that must be one.
#[track_caller]
pub fn awarded(outcome: Result<AwardReply, ScriptRefusal>) -> AwardReply {
    outcome.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}
