//! `finalize`, `scores` and `update`: a token and its proof become points, in one atomic step.

use std::mem;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::answer::{Award, answer, sign_of};
use super::permission::Judged;
use super::safe::wait_until_safe;
use super::verify::{Claim, as_text, verify};
use super::{Denied, Metered, Permission, check_window, release};
use crate::account::Identity;
use crate::action::{Action, Flow, Limits, Verdict};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{AttemptWindow, Attempts, IdempotencyKey, Judging, Redeem, RedeemOutcome, Redeemed};
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
    let key = submission.as_ref().ok().and_then(|it| it.idempotency.as_ref());
    let window = AttemptWindow::Awards(caller.user);
    if let Err(refusal) = check_window(app, caller, &window, key).await {
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
    app.rate_limiter.note(&window, rate);
    Metered { outcome, rate, replayed }
}

async fn try_redeem(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    rate: &mut Option<RateWindow>,
) -> Result<(Redeemed, Result<Award>), Denied> {
    let judged = submission.permission.judge(app, caller).await?;
    let claim = claim(&judged, submission);
    let most_points = most_points(&judged, &submission.permission);
    let reservation = claim.as_ref().map_or(Ok(None), |it| it.reservation(app, caller))?;
    let mut per_minute = app.config.limits.updates_per_minute;
    if let Some(reservation) = &reservation {
        let verdict = Verdict::default();
        let judging = Judging::Pending(reservation);
        let run = ScriptRun { verdict: &verdict, points: most_points, most_points, judging, per_minute };
        let redeemed = spend(app, caller, submission, &judged, run).await?;
        *rate = redeemed.rate;
        if redeemed.outcome != RedeemOutcome::Reserved {
            return conclude(app, caller, submission, &judged, redeemed).await;
        }
        // The first run has counted the attempt.
        per_minute = 0;
    }
    let mut proof = match &claim {
        Some(claim) => match (verify(app, caller, claim).await, &reservation) {
            (Err(refusal), Some(reservation)) => {
                release(app, caller, &judged.token_id, reservation).await;
                return Err(refusal.into());
            }
            (proof, _) => Some(proof?),
        },
        None => None,
    };
    let mut verdict = proof.as_mut().map(|it| mem::take(&mut it.verdict)).unwrap_or_default();
    let points = points(&judged, &mut verdict, &submission.permission);
    let judging = reservation.as_ref().map_or(Judging::Local, Judging::Done);
    let run = ScriptRun { verdict: &verdict, points, most_points, judging, per_minute };
    let redeemed = spend(app, caller, submission, &judged, run).await?;
    if let Some(mut proof) = proof {
        proof.reveal(app, redeemed.revealed_verdict());
    }
    *rate = rate.or(redeemed.rate);
    conclude(app, caller, submission, &judged, redeemed).await
}

/// The answer to what the script said, once an award is as safe as it has to be.
async fn conclude(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    judged: &Judged<'_>,
    redeemed: Redeemed,
) -> Result<(Redeemed, Result<Award>), Denied> {
    if let (RedeemOutcome::Awarded(_), Some(action), false) =
        (&redeemed.outcome, judged.action, redeemed.replayed)
    {
        app.metrics.award(&action.kind);
    }
    let award = answer(app, caller, &redeemed, judged, submission.idempotency.is_some());
    if award.is_ok() {
        wait_until_safe(app, caller, judged, &redeemed.run).await?;
    }
    Ok((redeemed, award))
}

/// Counts an attempt that was refused before it came to the script: tokens cannot be guessed for free.
async fn count(app: &App, caller: &Identity) -> Result<Attempts, Fault> {
    let limit = app.config.limits.updates_per_minute;
    app.rate_limiter.attempt(&[(AttemptWindow::Awards(caller.user), limit)]).await
}

/// The proof and what it is held against. None for a proven token, whose proof was judged when it was issued.
fn claim<'a>(judged: &'a Judged<'_>, submission: &'a Submission) -> Option<Claim<'a>> {
    let action = judged.action.filter(|_| judged.flow != Flow::Tokens)?;
    let in_game = judged.flow == Flow::Game;
    Some(Claim {
        action,
        token_id: (!in_game).then_some(&judged.token_id),
        in_game,
        attempt_id: judged.attempt_id,
        challenge: &judged.challenge,
        proof: submission.proof.as_ref(),
    })
}

/// The most that a proof could be worth here: a limit of points that counted what this proof is worth would tell of it.
fn most_points(judged: &Judged<'_>, permission: &Permission) -> u64 {
    match permission {
        Permission::Game { points: named, .. } => *named,
        _ => judged.points.or(judged.action.map(Action::most_points)).unwrap_or_default(),
    }
}

/// The server's points. A client that names some names what the catalogue can give, which is checked before; a proof that is not worth
/// that is one that fails. It must not be a refusal of its own, which would leave the token and tell what the proof is worth.
fn points(judged: &Judged<'_>, verdict: &mut Verdict, permission: &Permission) -> u64 {
    let worth = || judged.action.map(|it| it.worth(verdict.difficulty.as_deref()));
    let points = judged.points.or_else(worth).unwrap_or_default();
    match permission {
        Permission::Game { points: named, .. } => {
            verdict.holds &= *named == points;
            *named
        }
        _ => points,
    }
}

/// What a run of the script is told of the proof.
pub(super) struct ScriptRun<'a> {
    /// What the node says of it.
    pub verdict: &'a Verdict,
    /// What it is worth.
    pub points: u64,
    /// The most that it could be worth.
    pub most_points: u64,
    /// Whether a webhook has to judge it, and did.
    pub judging: Judging<'a>,
    /// Attempts allowed a minute; 0: any, and this one is not counted.
    pub per_minute: u32,
}

/// Runs the script, which checks all the rest.
pub(super) async fn spend(
    app: &App,
    caller: &Identity,
    submission: &Submission,
    judged: &Judged<'_>,
    run: ScriptRun<'_>,
) -> Result<Redeemed, Fault> {
    let no_limits = Limits::default();
    let board = app.hub.newest();
    let request = Redeem {
        user: caller.user,
        number: caller.number,
        username: &caller.username,
        // No action has this name, so a token that Redis does not know any more cannot be redeemed under it.
        action: judged.action.map_or("-", |it| &it.kind),
        points: run.points,
        most_points: run.most_points,
        limits: judged.action.map_or(&no_limits, |it| &it.limits),
        attempt_id: judged.attempt_id,
        token_id: &judged.token_id,
        token_hash: &judged.token_hash,
        flow: judged.flow,
        expires_s: judged.expires_s,
        named_session: submission.permission.named_session(),
        proof: &as_text(submission.proof.as_ref()),
        verdict: run.verdict,
        judging: run.judging,
        per_minute: run.per_minute,
        points_per_hour: app.config.limits.points_per_hour,
        outbox_max: app.config.outbox.max_entries,
        known_version: board.version,
        known_top: &|| board.entries(),
        publish_interval_ms: app.config.live.publish_interval_ms,
        idempotency: submission.idempotency.as_ref(),
        next: judged.next.as_ref(),
        receipt_kid: app.receipts.kid(),
    };
    app.store.redeem(&request).await
}
