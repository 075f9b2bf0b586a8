//! `finalize`: a token and its proof become points, in one atomic step.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{CLOSED, Metered};
use crate::account::Identity;
use crate::action::{Action, Door, Verdict};
use crate::app::App;
use crate::error::{Fault, RateWindow, Refusal, Result};
use crate::live::Board;
use crate::store::{AttemptWindow, Awarded, IdempotencyKey, Redeem, RedeemOutcome, Redeemed};
use crate::token::{AntiSpamClaims, sha256_hex};

/// What a client hands in, read but not yet judged.
pub struct Submission {
    /// The token.
    pub token: String,
    /// The proof.
    pub proof: Option<Map<String, Value>>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
}

/// Points, and the board they led to.
pub struct Award {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score.
    pub rank: u64,
    /// The ten best, this award included.
    pub board: Arc<Board>,
}

/// A submission that passed everything that can be said without Redis.
struct Judged<'a> {
    claims: AntiSpamClaims,
    action: &'a Action,
    verdict: Verdict,
}

/// Judges a submission and awards it.
pub async fn redeem(app: &App, caller: &Identity, submission: &Submission) -> Metered<Award> {
    let judged = match judge(app, caller, submission) {
        Ok(judged) => judged,
        Err(error) => {
            return Metered { outcome: Err(error), rate: count_refused(app, caller).await, replayed: false };
        }
    };
    let redeemed = match spend(app, caller, submission, &judged).await {
        Ok(redeemed) => redeemed,
        Err(fault) => return fault.into(),
    };
    if let (RedeemOutcome::Awarded(_), false) = (&redeemed.outcome, redeemed.replayed) {
        app.metrics.award(&judged.action.kind);
    }
    let outcome = answer(app, redeemed.outcome, redeemed.rate, submission.idempotency.is_some());
    Metered { outcome, rate: redeemed.rate, replayed: redeemed.replayed }
}

/// Counts an attempt that was refused before it came to `redeem`: tokens cannot be guessed for free. If Redis is away it
/// is not counted; nothing can be won then.
pub async fn count_refused(app: &App, caller: &Identity) -> Option<RateWindow> {
    let limit = app.config.limits.updates_per_minute;
    app.store.attempt(&[(AttemptWindow::Awards(caller.user), limit)]).await.ok()?.window
}

/// Token format, action type, proof, in the contract's order.
fn judge<'a>(app: &'a App, caller: &Identity, submission: &Submission) -> Result<Judged<'a>> {
    let claims = app.anti_spam.read(&submission.token, caller.user)?;
    let action = app.catalogue.find(&claims.act, Door::Actions).ok_or(Refusal::InvalidAction)?;
    let verdict = action
        .proof
        .verify(&claims.chl, &claims.jti.to_string(), submission.proof.as_ref())
        .map_err(Refusal::Validation)?;
    app.metrics.proof(action.proof.kind(), verdict.holds);
    Ok(Judged { claims, action, verdict })
}

async fn spend(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    Judged { claims, action, verdict }: &Judged<'_>,
) -> Result<Redeemed, Fault> {
    let proof = submission.proof.as_ref().and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default();
    let request = Redeem {
        user: caller.user,
        number: caller.number,
        username: &caller.username,
        action: &action.kind,
        points: action.points,
        limits: &action.limits,
        token_id: &claims.jti.to_string(),
        token_hash: &sha256_hex(&[submission.token.as_bytes()]),
        expires_s: claims.exp,
        proof: &proof,
        proof_ok: verdict.holds,
        age_ms: verdict.age_ms,
        per_minute: app.config.limits.updates_per_minute,
        points_per_hour: app.config.limits.points_per_hour,
        outbox_max: app.config.outbox.max_entries,
        known_version: app.hub.newest().version,
        publish_window_ms: app.config.live.min_interval_ms,
        idempotency: submission.idempotency.as_ref(),
    };
    app.store.redeem(&request).await
}

fn answer(app: &App, outcome: RedeemOutcome, rate: Option<RateWindow>, keyed: bool) -> Result<Award> {
    Err(match outcome {
        RedeemOutcome::Awarded(awarded) => return Ok(award(app, awarded, keyed)?),
        RedeemOutcome::RateLimited => rate_limited(rate),
        RedeemOutcome::Banned => Refusal::Banned,
        RedeemOutcome::TokenUnknown => Refusal::InvalidActionToken,
        RedeemOutcome::TokenExpired => Refusal::TokenExpired,
        RedeemOutcome::TokenUsed => Refusal::TokenAlreadyUsed,
        RedeemOutcome::ActionLimited { wait_ms } => Refusal::ActionLimited { wait_ms },
        RedeemOutcome::ProofInvalid { at_ms } => Refusal::ProofInvalid { at_ms },
        RedeemOutcome::ScoreFull => Refusal::ScoreFull,
        RedeemOutcome::BoardClosed | RedeemOutcome::OutboxFull => Refusal::Unavailable(CLOSED),
        RedeemOutcome::KeyReused => Refusal::IdempotencyMismatch,
    }
    .into())
}

/// The answer's board: the script's own where the request has an idempotency key, since the same must come again; else
/// the newer of the script's and the node's.
fn award(app: &App, awarded: Awarded, keyed: bool) -> Result<Award, Fault> {
    if awarded.flush_due_ms > 0 {
        app.hub.flush_later();
    }
    let mut board = app.hub.newest();
    if keyed || awarded.version > board.version {
        board = Arc::new(Board::read(awarded.version, &awarded.ten)?);
        app.hub.learn(&board);
    }
    Ok(Award { score: awarded.score, rank: awarded.rank, board })
}

/// The refusal that goes with a full window.
pub fn rate_limited(rate: Option<RateWindow>) -> Refusal {
    Refusal::RateLimited(rate.unwrap_or(RateWindow { limit: 0, used: 0, reset_ms: 1000 }))
}
