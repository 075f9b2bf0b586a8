//! `finalize`, `scores` and `update`: a token and its proof become points, in one atomic step.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::answer::{Award, answer, sign_of};
use super::permission::Judged;
use super::safe::wait_until_safe;
use super::verify::{Claim, as_text, verify};
use super::{Denied, Metered, Permission, rate_limited};
use crate::account::Identity;
use crate::action::{Door, Limits, Verdict};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{AttemptWindow, Attempts, IdempotencyKey, Redeem, RedeemOutcome, Redeemed};
use crate::suspicion::Sign;

/// What a client hands in, read but not yet judged.
pub struct Submission {
    /// The token, and what it is for.
    pub permission: Permission,
    /// The proof.
    pub proof: Option<Map<String, Value>>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
}

/// Judges a submission and awards it. One that could not even be read is an attempt too.
pub async fn redeem(
    app: &App,
    caller: &Identity,
    from: IpAddr,
    submission: Result<Submission, Refusal>,
) -> Metered<Award> {
    // Whoever is known to have too many is refused for nothing; but a first answer is given again whatever the window.
    let keyed = submission.as_ref().is_ok_and(|it| it.idempotency.is_some());
    let window = AttemptWindow::Awards(caller.user);
    if !keyed && let Err(refusal) = app.gate.check(&window) {
        app.note(Some(Sign::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let attempt = match submission {
        Ok(submission) => try_redeem(app, caller, &submission, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let (outcome, sign, replayed) = match attempt {
        Ok((redeemed, award)) => {
            rate = rate.or(redeemed.rate);
            let sign = sign_of(&redeemed.outcome).filter(|_| !redeemed.replayed);
            (award, sign, redeemed.replayed)
        }
        Err(denied) => {
            if rate.is_none() && matches!(denied.error, Error::Refused(_)) {
                rate = count(app, caller).await.ok().and_then(|it| it.window);
            }
            (Err(denied.error), denied.sign, false)
        }
    };
    app.note(sign, Some(caller.user), from);
    app.gate.note(&window, rate);
    Metered { outcome, rate, replayed }
}

async fn try_redeem(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    rate: &mut Option<RateWindow>,
) -> Result<(Redeemed, Result<Award>), Denied> {
    let judged = submission.permission.judge(app, caller).await?;
    let reaches_out = judged.door != Door::Tokens && judged.action.is_some_and(|it| it.proof.reaches_out());
    // Where the first answer is given again, nobody else is asked again. What nobody judged does not hold: should the answer
    // have gone meanwhile, nothing is won by that.
    let answered = match &submission.idempotency {
        Some(key) if reaches_out => app.store.has_answer(caller.user, key).await?,
        _ => false,
    };
    if reaches_out && !answered {
        let attempts = count(app, caller).await?;
        *rate = attempts.window;
        if !attempts.allowed {
            return Err(Denied::of(rate_limited(attempts.window), Sign::Flooding));
        }
    }
    let verdict = if answered {
        Verdict { holds: false, ..Verdict::default() }
    } else {
        weigh(app, caller, &judged, submission).await?
    };
    let points = points(&judged, &verdict, &submission.permission)?;
    // What was counted before somebody was asked is not counted again.
    let per_minute = if rate.is_some() { 0 } else { app.config.limits.updates_per_minute };
    let redeemed = spend(app, caller, submission, &judged, &verdict, points, per_minute).await?;
    if let (RedeemOutcome::Awarded(_), Some(action), false) =
        (&redeemed.outcome, judged.action, redeemed.replayed)
    {
        app.metrics.award(&action.kind);
    }
    let award = answer(app, caller, &redeemed, &judged, submission.idempotency.is_some());
    if award.is_ok() {
        *rate = rate.or(redeemed.rate);
        wait_until_safe(app, caller, &judged, &redeemed.run).await?;
    }
    Ok((redeemed, award))
}

/// Counts an attempt that was refused before it came to the script, or comes to it late: tokens cannot be guessed for free, and
/// nobody else is bothered for free.
async fn count(app: &App, caller: &Identity) -> Result<Attempts, Fault> {
    let limit = app.config.limits.updates_per_minute;
    app.gate.attempt(&[(AttemptWindow::Awards(caller.user), limit)]).await
}

/// A proven token's proof was verified when it was issued.
async fn weigh(
    app: &App,
    caller: &Identity,
    judged: &Judged<'_>,
    submission: &Submission,
) -> Result<Verdict, Refusal> {
    let Some(action) = judged.action.filter(|_| judged.door != Door::Tokens) else {
        return Ok(Verdict::default());
    };
    let in_game = judged.door == Door::Game;
    let claim = Claim {
        action,
        token_id: (!in_game).then_some(&judged.token_id),
        in_game,
        attempt_id: judged.attempt_id,
        challenge: &judged.challenge,
        proof: submission.proof.as_ref(),
    };
    verify(app, caller, &claim).await
}

/// The server's points, which a client that names some has to name too. A proof that fails says nothing of them: it spends the
/// token.
fn points(judged: &Judged<'_>, verdict: &Verdict, permission: &Permission) -> Result<u64, Refusal> {
    let worth = || judged.action.map(|it| it.worth(verdict.difficulty.as_deref()));
    let points = judged.points.or_else(worth).unwrap_or_default();
    match permission {
        Permission::Game { points: named, .. } if *named != points && verdict.holds => {
            Err(Refusal::InvalidPoints)
        }
        _ => Ok(points),
    }
}

/// Asks Redis for all the rest.
pub(super) async fn spend(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    judged: &Judged<'_>,
    verdict: &Verdict,
    points: u64,
    per_minute: u32,
) -> Result<Redeemed, Fault> {
    let no_limits = Limits::default();
    let board = app.hub.newest();
    let request = Redeem {
        user: caller.user,
        number: caller.number,
        username: &caller.username,
        // No action has this name, so a token that Redis does not know any more cannot be redeemed under it.
        action: judged.action.map_or("-", |it| &it.kind),
        points,
        limits: judged.action.map_or(&no_limits, |it| &it.limits),
        attempt_id: judged.attempt_id,
        token_id: &judged.token_id,
        token_hash: &judged.token_hash,
        door: judged.door,
        expires_s: judged.expires_s,
        named_session: submission.permission.named_session(),
        proof: &as_text(submission.proof.as_ref()),
        verdict,
        per_minute,
        points_per_hour: app.config.limits.points_per_hour,
        outbox_max: app.config.outbox.max_entries,
        known_version: board.version,
        known_ten: &|| board.entries(),
        publish_window_ms: app.config.live.min_interval_ms,
        idempotency: submission.idempotency.as_ref(),
        next: judged.next.as_ref(),
        receipt_kid: app.receipts.kid(),
    };
    app.store.redeem(&request).await
}
