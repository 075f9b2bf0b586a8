//! `action-tokens`: verifies the proof first, then issues a proven token that `scores` redeems.

use std::mem;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::refusal::{RefusalContext, abuse_signal, refusal_for};
use super::verify::{ProofSubmission, proof_json, verify};
use super::{Rejection, check_window, invalid_action, release};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Action, Challenge, Flow, ProofResult};
use crate::award::Awards;
use crate::crypto::sha256_hex;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::rate_limit::AttemptOutcome;
use crate::store::{
    AttemptWindow, Attempts, IdempotencyKey, InitToken, Judging, Prove, ProveReply, ProvenFields,
    ScriptRefusal,
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
    awards: &Awards,
    caller: &Identity,
    from: IpAddr,
    request: Result<ProveRequest, Refusal>,
) -> AttemptOutcome<ProvenToken> {
    let key = request.as_ref().ok().and_then(|request| request.idempotency.as_ref());
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = check_window(awards, caller, &window, key).await {
        awards.abuse_signals.note(Some(AbuseSignal::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let conclusion = match request {
        Ok(request) => try_prove(awards, caller, &request, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let Conclusion { outcome, signal, replayed } = match conclusion {
        Ok(conclusion) => conclusion,
        Err(rejection) => {
            if rate.is_none() && matches!(rejection.error, Error::Refused(_)) {
                rate = count(awards, caller).await.ok().and_then(|it| it.window);
            }
            Conclusion { outcome: Err(rejection.error), signal: rejection.signal, replayed: false }
        }
    };
    awards.abuse_signals.note(signal, Some(caller.user), from);
    awards.rate_limiter.note(&window, rate);
    AttemptOutcome { outcome, rate, replayed }
}

/// Counts an attempt that was refused before the script ran.
async fn count(awards: &Awards, caller: &Identity) -> Result<Attempts, Fault> {
    awards
        .rate_limiter
        .attempt(&[(AttemptWindow::Inits(caller.user), awards.config.limits.inits_per_minute)])
        .await
}

async fn try_prove(
    awards: &Awards,
    caller: &Identity,
    request: &ProveRequest,
    rate: &mut Option<RateWindow>,
) -> Result<Conclusion, Rejection> {
    let claims = match request.anti_spam.as_str() {
        "" => None,
        token => Some(super::read_anti_spam(awards, caller, token)?),
    };
    let action = find_action(awards, request, claims.as_ref())?;
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
    let anti_spam = claims.as_ref().map(|claims| InitToken {
        id: claims.jti,
        hash: sha256_hex(&[request.anti_spam.as_bytes()]),
        expires_s: claims.exp,
    });
    let in_session = anti_spam.is_none() && !request.session.is_empty();
    let (no_result, hash) = (ProofResult::default(), token.hash());
    let reservation = submission.reservation(awards, caller)?;
    let mut script = Prove {
        user: caller.user,
        action: &action.kind,
        points: action.points,
        limits: &action.limits,
        attempt_id: token.attempt_id(),
        token_hash: &hash,
        ttl_ms: awards.config.tokens.action_seconds * 1000,
        per_minute: awards.config.limits.inits_per_minute,
        interval_ms: awards.config.tokens.action_interval_seconds * 1000,
        outbox_max: awards.config.outbox.max_entries,
        anti_spam: anti_spam.as_ref(),
        named_session: &request.session,
        proof: &proof_json(request.proof.as_ref()),
        verdict: &no_result,
        judging: Judging::Local,
        idempotency: request.idempotency.as_ref().map(|key| (key, token.as_str())),
    };
    if let Some(reservation) = &reservation {
        script.judging = Judging::Pending(reservation);
        let reply = awards.store.prove(&script).await?;
        *rate = reply.rate;
        if reply.outcome != Err(ScriptRefusal::Reserved) {
            return Ok(conclude(caller, action, in_session, reply, token));
        }
        script.judging = Judging::Done(reservation);
        // The first run counted the attempt.
        script.per_minute = 0;
    }
    let mut proof = match (verify(awards, caller, &submission).await, &reservation, &token_id) {
        (Err(refusal), Some(reservation), Some(token_id)) => {
            release(awards, caller, token_id, reservation).await;
            return Err(refusal.into());
        }
        (proof, ..) => proof?,
    };
    let result = mem::take(&mut proof.result);
    script.verdict = &result;
    script.points = action.worth(result.difficulty.as_deref());
    let reply = awards.store.prove(&script).await?;
    proof.reveal(awards, reply.revealed_verdict());
    *rate = rate.or(reply.rate);
    Ok(conclude(caller, action, in_session, reply, token))
}

/// Maps the script's reply to the response. `in_session`: the request names a session, and no token but the session's can have expired.
fn conclude(
    caller: &Identity,
    action: &Action,
    in_session: bool,
    reply: ProveReply,
    token: ActToken,
) -> Conclusion {
    let ProveReply { outcome, replayed, rate } = reply;
    match outcome {
        Ok(ProvenFields { expires_at_ms, ttl_ms, token: stored }) => {
            // Redis stores a token only under an idempotency key; then a replay returns the first one.
            let token = ActToken::parse(&stored).unwrap_or(token);
            let expires_in_s = ttl_ms / 1000;
            let proven = ProvenToken { token, action_type: action.kind.clone(), expires_at_ms, expires_in_s };
            Conclusion { outcome: Ok(proven), signal: None, replayed }
        }
        Err(reason) => {
            let context = RefusalContext {
                window: &AttemptWindow::Inits(caller.user),
                rate,
                limits: &action.limits,
                token_is_of_session: in_session,
            };
            let refusal = refusal_for(&reason, &context);
            // A session that expired is no attack.
            let signal = abuse_signal(&reason).filter(|_| !replayed && refusal != Refusal::SessionExpired);
            Conclusion { outcome: Err(refusal.into()), signal, replayed }
        }
    }
}

/// Finds the action by its type, its number and the anti-spam token. Those that are present must agree.
fn find_action<'a>(
    awards: &'a Awards,
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
    let action = awards.catalogue.all().iter().find(matches);
    action.ok_or_else(|| invalid_action(awards, |action| action.is_open(Flow::Tokens)))
}
