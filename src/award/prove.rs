//! `action-tokens`: verifies the proof first, then issues a proven token that `scores` redeems.

use std::mem;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::verify::{ProofSubmission, proof_json, verify};
use super::{
    AttemptOutcome, BEING_VERIFIED, CLOSED, Rejection, action_closed, check_window, invalid_action,
    rate_limited, release,
};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Action, Challenge, Flow, ProofResult};
use crate::app::App;
use crate::crypto::sha256_hex;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{
    AttemptWindow, Attempts, IdempotencyKey, InitToken, Judging, Prove, ProveOutcome, ProveReply,
};
use crate::token::{ActToken, AntiSpamClaims};

/// A request to prove an action.
pub struct ProveRequest {
    /// The action's type; empty if the number or the anti-spam token names it.
    pub action_type: String,
    /// The action's number.
    pub action_number: Option<u64>,
    /// The anti-spam token that issued the challenge, or empty.
    pub anti_spam: String,
    /// The session named in the request, or empty.
    pub session: String,
    /// The proof, if one was sent.
    pub proof: Option<Map<String, Value>>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
}

/// A token that `scores` redeems without another proof.
pub struct ProvenToken {
    /// The token.
    pub token: ActToken,
    /// The action's type.
    pub action_type: String,
    /// Its expiry in Unix ms.
    pub expires_at_ms: i64,
    /// Its lifetime in seconds.
    pub expires_in_s: u64,
}

/// The response to a request for a proven token, with its abuse signal.
struct Conclusion {
    outcome: Result<ProvenToken>,
    signal: Option<AbuseSignal>,
    replayed: bool,
}

/// Verifies a proof and issues a proven token. A repeat with the same `Idempotency-Key` replays the first response.
pub async fn prove(
    app: &App,
    caller: &Identity,
    from: IpAddr,
    request: Result<ProveRequest, Refusal>,
) -> AttemptOutcome<ProvenToken> {
    let key = request.as_ref().ok().and_then(|request| request.idempotency.as_ref());
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = check_window(app, caller, &window, key).await {
        app.note(Some(AbuseSignal::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let conclusion = match request {
        Ok(request) => try_prove(app, caller, &request, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let Conclusion { outcome, signal, replayed } = match conclusion {
        Ok(conclusion) => conclusion,
        Err(rejection) => {
            if rate.is_none() && matches!(rejection.error, Error::Refused(_)) {
                rate = count(app, caller).await.ok().and_then(|it| it.window);
            }
            Conclusion { outcome: Err(rejection.error), signal: rejection.signal, replayed: false }
        }
    };
    app.note(signal, Some(caller.user), from);
    app.rate_limiter.note(&window, rate);
    AttemptOutcome { outcome, rate, replayed }
}

/// Counts an attempt that was refused before the script ran.
async fn count(app: &App, caller: &Identity) -> Result<Attempts, Fault> {
    app.rate_limiter.attempt(&[(AttemptWindow::Inits(caller.user), app.config.limits.inits_per_minute)]).await
}

async fn try_prove(
    app: &App,
    caller: &Identity,
    request: &ProveRequest,
    rate: &mut Option<RateWindow>,
) -> Result<Conclusion, Rejection> {
    let claims = match request.anti_spam.as_str() {
        "" => None,
        token => Some(super::read_anti_spam(app, caller, token)?),
    };
    let action = find_action(app, request, claims.as_ref())?;
    let token_id = claims.as_ref().map(|claims| claims.jti.to_string());
    let no_challenge = Challenge::default();
    let token = ActToken::new();
    let submission = ProofSubmission {
        action,
        token_id: token_id.as_deref(),
        in_game: false,
        attempt_id: claims.as_ref().map_or(token.attempt_id(), |claims| claims.jti),
        challenge: claims.as_ref().map_or(&no_challenge, |claims| &claims.chl),
        proof: request.proof.as_ref(),
    };
    let asked = claims.as_ref().map(|claims| InitToken {
        id: claims.jti,
        hash: sha256_hex(&[request.anti_spam.as_bytes()]),
        expires_s: claims.exp,
    });
    let (no_result, hash) = (ProofResult::default(), token.hash());
    let reservation = submission.reservation(app, caller)?;
    let mut script = Prove {
        user: caller.user,
        action: &action.kind,
        points: action.points,
        limits: &action.limits,
        attempt_id: token.attempt_id(),
        token_hash: &hash,
        ttl_ms: app.config.tokens.action_seconds * 1000,
        per_minute: app.config.limits.inits_per_minute,
        interval_ms: app.config.tokens.action_interval_seconds * 1000,
        outbox_max: app.config.outbox.max_entries,
        asked: asked.as_ref(),
        named_session: &request.session,
        proof: &proof_json(request.proof.as_ref()),
        verdict: &no_result,
        judging: Judging::Local,
        idempotency: request.idempotency.as_ref().map(|key| (key, token.as_str())),
    };
    if let Some(reservation) = &reservation {
        script.judging = Judging::Pending(reservation);
        let reply = app.store.prove(&script).await?;
        *rate = reply.rate;
        if reply.outcome != ProveOutcome::Reserved {
            return Ok(conclude(caller, reply, token, action));
        }
        script.judging = Judging::Done(reservation);
        // The first run counted the attempt.
        script.per_minute = 0;
    }
    let mut proof = match (verify(app, caller, &submission).await, &reservation, &token_id) {
        (Err(refusal), Some(reservation), Some(token_id)) => {
            release(app, caller, token_id, reservation).await;
            return Err(refusal.into());
        }
        (proof, ..) => proof?,
    };
    let result = mem::take(&mut proof.result);
    script.verdict = &result;
    script.points = action.worth(result.difficulty.as_deref());
    let reply = app.store.prove(&script).await?;
    proof.reveal(app, reply.revealed_verdict());
    *rate = rate.or(reply.rate);
    Ok(conclude(caller, reply, token, action))
}

/// Maps the script's reply to the response.
fn conclude(caller: &Identity, reply: ProveReply, token: ActToken, action: &Action) -> Conclusion {
    let ProveReply { outcome, replayed, rate } = reply;
    match outcome {
        ProveOutcome::Proven { expires_at_ms, ttl_ms, token: stored } => {
            // Redis stores a token only under an idempotency key; then a replay returns the first one.
            let token = ActToken::parse(&stored).unwrap_or(token);
            let expires_in_s = ttl_ms / 1000;
            let proven = ProvenToken { token, action_type: action.kind.clone(), expires_at_ms, expires_in_s };
            Conclusion { outcome: Ok(proven), signal: None, replayed }
        }
        refused => {
            let Rejection { error, signal } = refuse(caller, action, refused, rate);
            Conclusion { outcome: Err(error), signal: signal.filter(|_| !replayed), replayed }
        }
    }
}

/// Finds the action by its type, its number and the anti-spam token. Those that are present must agree.
fn find_action<'a>(
    app: &'a App,
    request: &ProveRequest,
    claims: Option<&AntiSpamClaims>,
) -> Result<&'a Action, Refusal> {
    let action_type = Some(request.action_type.as_str()).filter(|text| !text.is_empty());
    let names = [action_type, claims.map(|claims| claims.act.as_str())];
    let matches = |action: &&Action| {
        action.is_open(Flow::Tokens)
            && names.iter().flatten().all(|name| action.kind == **name)
            && request.action_number.is_none_or(|number| u64::from(action.number) == number)
    };
    let action = app.catalogue.all().iter().find(matches);
    action.ok_or_else(|| invalid_action(app, |action| action.is_open(Flow::Tokens)))
}

fn refuse(caller: &Identity, action: &Action, outcome: ProveOutcome, rate: Option<RateWindow>) -> Rejection {
    let (refusal, signal) = match outcome {
        ProveOutcome::Proven { .. } => unreachable!("a proven token is not a refusal"),
        ProveOutcome::RateLimited => {
            (rate_limited(&AttemptWindow::Inits(caller.user), rate), Some(AbuseSignal::Flooding))
        }
        ProveOutcome::TooSoon { wait_ms } => {
            let window = RateWindow { limit: 1, used: 1, reset_ms: wait_ms };
            (Refusal::RateLimited { limit: "action_interval_seconds", window }, None)
        }
        ProveOutcome::Banned => (Refusal::Banned, None),
        ProveOutcome::NoSession => (Refusal::NoSession, None),
        ProveOutcome::SessionExpired => (Refusal::SessionExpired, None),
        ProveOutcome::SessionMismatch => (Refusal::SessionMismatch, None),
        ProveOutcome::TokenUnknown => (Refusal::InvalidActionToken, Some(AbuseSignal::Forged)),
        ProveOutcome::TokenForeign => (Refusal::InvalidActionToken, Some(AbuseSignal::Foreign)),
        ProveOutcome::TokenExpired => (Refusal::TokenExpired, Some(AbuseSignal::Expired)),
        ProveOutcome::TokenUsed => (Refusal::TokenAlreadyUsed, Some(AbuseSignal::Replayed)),
        ProveOutcome::NotOpen => (action_closed(&action.limits), None),
        ProveOutcome::ActionLimited { limit, wait_ms } => (Refusal::ActionLimited { limit, wait_ms }, None),
        ProveOutcome::ProofInvalid { at_ms, too_young } => (
            Refusal::ProofInvalid { at_ms },
            Some(if too_young { AbuseSignal::TooFast } else { AbuseSignal::ProofFailed }),
        ),
        ProveOutcome::BoardClosed | ProveOutcome::OutboxFull => (Refusal::Unavailable(CLOSED), None),
        ProveOutcome::KeyReused => (Refusal::IdempotencyMismatch, None),
        ProveOutcome::Judging | ProveOutcome::Reserved => (Refusal::Unavailable(BEING_VERIFIED), None),
    };
    Rejection { error: refusal.into(), signal }
}
