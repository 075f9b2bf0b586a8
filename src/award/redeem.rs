//! `finalize`, `scores` and `update`: redeems a token and its proof for points, in one atomic step.

use std::mem;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::credential::AuthorizedRedeem;
use super::durability::await_durability;
use super::outcome::{Award, award_or_refusal};
use super::refusal::abuse_signal;
use super::verify::{ProofSubmission, proof_json, verify};
use super::{Credential, Rejection, check_window, release};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Action, Flow, Limits, ProofResult};
use crate::award::Awards;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::rate_limit::AttemptOutcome;
use crate::store::{AttemptWindow, Attempts, IdempotencyKey, Judging, Redeem, RedeemReply, ScriptRefusal};

/// A request to redeem a token, parsed but not yet checked.
pub struct RedeemRequest {
    /// The token.
    pub credential: Credential,
    /// The proof, if one was sent.
    pub proof: Option<Map<String, Value>>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
}

/// Checks a request and awards its points. A request that could not be parsed counts as an attempt too.
pub async fn redeem(
    awards: &Awards,
    caller: &Identity,
    from: IpAddr,
    request: Result<RedeemRequest, Refusal>,
) -> AttemptOutcome<Award> {
    let key = request.as_ref().ok().and_then(|request| request.idempotency.as_ref());
    let window = AttemptWindow::Awards(caller.user);
    if let Err(refusal) = check_window(awards, caller, &window, key).await {
        awards.abuse_signals.note(Some(AbuseSignal::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let attempt = match request {
        Ok(request) => try_redeem(awards, caller, &request, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let (outcome, signal, replayed) = match attempt {
        Ok((redeemed, award)) => {
            let reason = redeemed.outcome.as_ref().err().filter(|_| !redeemed.replayed);
            let signal = reason.and_then(abuse_signal);
            (award, signal, redeemed.replayed)
        }
        Err(rejection) => {
            if rate.is_none() && matches!(rejection.error, Error::Refused(_)) {
                rate = count(awards, caller).await.ok().and_then(|it| it.window);
            }
            (Err(rejection.error), rejection.signal, false)
        }
    };
    awards.abuse_signals.note(signal, Some(caller.user), from);
    awards.rate_limiter.note(&window, rate);
    AttemptOutcome { outcome, rate, replayed }
}

async fn try_redeem(
    awards: &Awards,
    caller: &Identity,
    request: &RedeemRequest,
    rate: &mut Option<RateWindow>,
) -> Result<(RedeemReply, Result<Award>), Rejection> {
    let authorized = request.credential.authorize(awards, caller).await?;
    let submission = proof_submission(&authorized, request);
    let most_points = max_points(&authorized, &request.credential);
    let reservation = submission.as_ref().map_or(Ok(None), |it| it.reservation(awards, caller))?;
    let mut per_minute = awards.config.limits.updates_per_minute;
    if let Some(reservation) = &reservation {
        let result = ProofResult::default();
        let judging = Judging::Pending(reservation);
        let run = ScriptRun { result: &result, points: most_points, most_points, judging, per_minute };
        let redeemed = run_redeem(awards, caller, request, &authorized, run).await?;
        *rate = redeemed.rate;
        if redeemed.outcome != Err(ScriptRefusal::Reserved) {
            return conclude(awards, caller, request, &authorized, redeemed).await;
        }
        // The first run counted the attempt.
        per_minute = 0;
    }
    let mut proof = match &submission {
        Some(submission) => match (verify(awards, caller, submission).await, &reservation) {
            (Err(refusal), Some(reservation)) => {
                release(awards, caller, &authorized.token_id, reservation).await;
                return Err(refusal.into());
            }
            (proof, _) => Some(proof?),
        },
        None => None,
    };
    let mut result = proof.as_mut().map(|it| mem::take(&mut it.result)).unwrap_or_default();
    let points = points_to_award(&authorized, &mut result, &request.credential);
    let judging = reservation.as_ref().map_or(Judging::Local, Judging::Done);
    let run = ScriptRun { result: &result, points, most_points, judging, per_minute };
    let redeemed = run_redeem(awards, caller, request, &authorized, run).await?;
    if let Some(mut proof) = proof {
        proof.reveal(awards, redeemed.revealed_verdict());
    }
    *rate = rate.or(redeemed.rate);
    conclude(awards, caller, request, &authorized, redeemed).await
}

/// Maps the script's outcome to the response, and waits until an award is durable.
async fn conclude(
    awards: &Awards,
    caller: &Identity,
    request: &RedeemRequest,
    authorized: &AuthorizedRedeem<'_>,
    redeemed: RedeemReply,
) -> Result<(RedeemReply, Result<Award>), Rejection> {
    if let (Ok(_), Some(action), false) = (&redeemed.outcome, authorized.action, redeemed.replayed) {
        awards.metrics.award(&action.kind);
    }
    let award = award_or_refusal(awards, caller, &redeemed, authorized, request.idempotency.is_some());
    if award.is_ok() {
        await_durability(awards, caller, authorized, &redeemed.run).await?;
    }
    Ok((redeemed, award))
}

/// Counts an attempt that was refused before the script ran, so that guessing tokens is rate-limited too.
async fn count(awards: &Awards, caller: &Identity) -> Result<Attempts, Fault> {
    let limit = awards.config.limits.updates_per_minute;
    awards.rate_limiter.attempt(&[(AttemptWindow::Awards(caller.user), limit)]).await
}

/// The proof to verify. `None` for a proven token, whose proof was verified when it was issued.
fn proof_submission<'a>(
    authorized: &'a AuthorizedRedeem<'_>,
    request: &'a RedeemRequest,
) -> Option<ProofSubmission<'a>> {
    let action = authorized.action.filter(|_| authorized.flow != Flow::Tokens)?;
    let in_game = authorized.flow == Flow::Game;
    Some(ProofSubmission {
        action,
        token_id: (!in_game).then_some(&authorized.token_id),
        in_game,
        attempt_id: authorized.attempt_id,
        challenge: &authorized.challenge,
        proof: request.proof.as_ref(),
    })
}

/// The most points that any proof could earn here. The hourly points limit counts these, because counting the actual points would reveal
/// the proof's difficulty before the token is spent.
fn max_points(authorized: &AuthorizedRedeem<'_>, credential: &Credential) -> u64 {
    match credential {
        Credential::Game { points: claimed, .. } => *claimed,
        _ => authorized.points.or(authorized.action.map(Action::most_points)).unwrap_or_default(),
    }
}

/// The points to award, by the catalogue. A game client claims points, which `authorize` found possible; if this proof earns others, the
/// proof fails. A refusal of its own would not spend the token and would reveal what the proof earns.
fn points_to_award(
    authorized: &AuthorizedRedeem<'_>,
    result: &mut ProofResult,
    credential: &Credential,
) -> u64 {
    let worth = || authorized.action.map(|action| action.worth(result.difficulty.as_deref()));
    let points = authorized.points.or_else(worth).unwrap_or_default();
    match credential {
        Credential::Game { points: claimed, .. } => {
            result.is_valid &= *claimed == points;
            *claimed
        }
        _ => points,
    }
}

/// What one run of the script needs to know about the proof.
pub(super) struct ScriptRun<'a> {
    /// The node's result.
    pub result: &'a ProofResult,
    /// The points to award.
    pub points: u64,
    /// The most points that any proof could earn here.
    pub most_points: u64,
    /// How far the webhook's verification is.
    pub judging: Judging<'a>,
    /// Attempts allowed per minute; 0: no limit, and this run does not count as one.
    pub per_minute: u32,
}

/// Runs `redeem.lua`, which makes all remaining checks and spends the token.
pub(super) async fn run_redeem(
    awards: &Awards,
    caller: &Identity,
    request: &RedeemRequest,
    authorized: &AuthorizedRedeem<'_>,
    run: ScriptRun<'_>,
) -> Result<RedeemReply, Fault> {
    let no_limits = Limits::default();
    let board = awards.hub.newest();
    let script = Redeem {
        board: board.id,
        user: caller.user,
        number: caller.number,
        username: &caller.username,
        // No action is named "-", so a token that Redis no longer has cannot be redeemed under it.
        action: authorized.action.map_or("-", |action| &action.kind),
        points: run.points,
        most_points: run.most_points,
        limits: authorized.action.map_or(&no_limits, |action| &action.limits),
        attempt_id: authorized.attempt_id,
        token_id: &authorized.token_id,
        token_hash: &authorized.token_hash,
        flow: authorized.flow,
        expires_s: authorized.expires_s,
        named_session: request.credential.named_session(),
        proof: &proof_json(request.proof.as_ref()),
        verdict: run.result,
        judging: run.judging,
        per_minute: run.per_minute,
        points_per_hour: awards.config.limits.points_per_hour,
        outbox_max: awards.config.outbox.max_entries,
        known_version: board.version,
        known_top: &|| board.entries(),
        publish_interval_ms: awards.config.live.publish_interval_ms,
        idempotency: request.idempotency.as_ref(),
        next: authorized.next.as_ref(),
        receipt_kid: awards.receipts.kid(),
        attempts: authorized.action.and_then(|action| awards.ledger.attempts.of(&action.kind)),
    };
    awards.store.redeem(&script).await
}
