//! `finalize`: a token and its proof become points, in one atomic step.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::permission::Judged;
use super::{CLOSED, Metered, Permission};
use crate::account::Identity;
use crate::action::Verdict;
use crate::app::App;
use crate::error::{Fault, RateWindow, Refusal, Result};
use crate::live::Board;
use crate::store::{AttemptWindow, Awarded, IdempotencyKey, Redeem, RedeemOutcome, Redeemed};

/// What a client hands in, read but not yet judged.
pub struct Submission {
    /// The token, and what it is for.
    pub permission: Permission,
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
    /// What the award was worth.
    pub points: u64,
    /// The next game token and when it runs out (ms), at the game door.
    pub next: Option<(String, i64)>,
    /// The ten best, this award included.
    pub board: Arc<Board>,
}

/// Judges a submission and awards it. One that could not even be read is an attempt too.
pub async fn redeem(app: &App, caller: &Identity, submission: Result<Submission, Refusal>) -> Metered<Award> {
    let judged = submission.and_then(|submission| {
        let judged = submission.permission.judge(app, caller)?;
        let verdict = verify(app, &judged, &submission)?;
        Ok((submission, judged, verdict))
    });
    let (submission, judged, verdict) = match judged {
        Ok(judged) => judged,
        Err(refusal) => {
            let rate = count_refused(app, caller).await;
            return Metered { outcome: Err(refusal.into()), rate, replayed: false };
        }
    };
    let redeemed = match spend(app, caller, &submission, &judged, verdict).await {
        Ok(redeemed) => redeemed,
        Err(fault) => return fault.into(),
    };
    if let (RedeemOutcome::Awarded(_), false) = (&redeemed.outcome, redeemed.replayed) {
        app.metrics.award(&judged.action.kind);
    }
    let outcome = answer(app, redeemed.outcome, redeemed.rate, judged.action.points, &submission);
    Metered { outcome, rate: redeemed.rate, replayed: redeemed.replayed }
}

/// Counts an attempt that was refused before it came to `redeem`: tokens cannot be guessed for free. If Redis is away it
/// is not counted; nothing can be won then.
async fn count_refused(app: &App, caller: &Identity) -> Option<RateWindow> {
    let limit = app.config.limits.updates_per_minute;
    app.store.attempt(&[(AttemptWindow::Awards(caller.user), limit)]).await.ok()?.window
}

/// The proof, as far as a node can say.
fn verify(app: &App, judged: &Judged<'_>, submission: &Submission) -> Result<Verdict, Refusal> {
    let proof = &judged.action.proof;
    let verdict = proof
        .verify(&judged.challenge, &judged.token_id, submission.proof.as_ref())
        .map_err(Refusal::Validation)?;
    app.metrics.proof(proof.kind(), verdict.holds);
    Ok(verdict)
}

async fn spend(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    judged: &Judged<'_>,
    verdict: Verdict,
) -> Result<Redeemed, Fault> {
    let proof = submission.proof.as_ref().and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default();
    let request = Redeem {
        user: caller.user,
        number: caller.number,
        username: &caller.username,
        action: &judged.action.kind,
        points: judged.action.points,
        limits: &judged.action.limits,
        attempt_id: judged.attempt_id,
        token_id: &judged.token_id,
        token_hash: &judged.token_hash,
        expires_s: judged.expires_s,
        proof: &proof,
        proof_ok: verdict.holds,
        age_ms: verdict.age_ms,
        per_minute: app.config.limits.updates_per_minute,
        points_per_hour: app.config.limits.points_per_hour,
        outbox_max: app.config.outbox.max_entries,
        known_version: app.hub.newest().version,
        publish_window_ms: app.config.live.min_interval_ms,
        idempotency: submission.idempotency.as_ref(),
        next: judged.next.as_ref(),
    };
    app.store.redeem(&request).await
}

fn answer(
    app: &App,
    outcome: RedeemOutcome,
    rate: Option<RateWindow>,
    points: u64,
    submission: &Submission,
) -> Result<Award> {
    let keyed = submission.idempotency.is_some();
    let in_game = matches!(submission.permission, Permission::Game { .. });
    Err(match outcome {
        RedeemOutcome::Awarded(awarded) => return Ok(award(app, awarded, points, keyed)?),
        RedeemOutcome::RateLimited => rate_limited(rate),
        RedeemOutcome::Banned => Refusal::Banned,
        RedeemOutcome::TokenUnknown => Refusal::InvalidActionToken,
        RedeemOutcome::TokenExpired if in_game => Refusal::SessionExpired,
        RedeemOutcome::TokenExpired => Refusal::TokenExpired,
        RedeemOutcome::NoSession => Refusal::NoSession,
        RedeemOutcome::SessionMismatch => Refusal::SessionMismatch,
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
fn award(app: &App, awarded: Awarded, points: u64, keyed: bool) -> Result<Award, Fault> {
    if awarded.flush_due_ms > 0 {
        app.hub.flush_later();
    }
    let mut board = app.hub.newest();
    if keyed || awarded.version > board.version {
        board = Arc::new(Board::read(awarded.version, &awarded.ten)?);
        app.hub.learn(&board);
    }
    Ok(Award { score: awarded.score, rank: awarded.rank, points, next: awarded.next, board })
}

/// The refusal that goes with a full window.
pub fn rate_limited(rate: Option<RateWindow>) -> Refusal {
    Refusal::RateLimited(rate.unwrap_or(RateWindow { limit: 0, used: 0, reset_ms: 1000 }))
}
