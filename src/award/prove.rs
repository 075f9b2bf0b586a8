//! `action-tokens`: the action is verified first, then a proven token is issued (action-verifier.md).

use std::mem;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::verify::{Claim, as_text, verify};
use super::{
    CLOSED, Denied, JUDGING, Metered, action_closed, check_window, invalid_action, rate_limited, release,
};
use crate::account::Identity;
use crate::action::{Action, Challenge, Flow, Verdict};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{
    AskedToken, AttemptWindow, Attempts, IdempotencyKey, Judging, Prove, ProveOutcome, ProveReply,
};
use crate::suspicion::Sign;
use crate::token::{ActToken, AntiSpamClaims, sha256_hex};

/// What a client hands in to be verified.
pub struct ToProve {
    /// The action's type; empty: its number or the anti-spam token says it.
    pub action_type: String,
    /// The action's number.
    pub action_number: Option<u64>,
    /// The token that asked for the proof, or empty.
    pub anti_spam: String,
    /// The session that the request names, or empty.
    pub session: String,
    /// The proof.
    pub proof: Option<Map<String, Value>>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
}

/// A token that can be redeemed without any further proof.
pub struct Proven {
    /// The token.
    pub token: ActToken,
    /// The action's type.
    pub action_type: String,
    /// When it runs out, in ms.
    pub expires_at_ms: i64,
    /// How long it lives.
    pub expires_in_s: u64,
}

/// What came of a request for a proven token.
struct Conclusion {
    outcome: Result<Proven>,
    sign: Option<Sign>,
    replayed: bool,
}

/// Verifies an action and issues a proven token for it. A repeat under the request's idempotency key gets the first answer again.
pub async fn prove(
    app: &App,
    caller: &Identity,
    from: IpAddr,
    to_prove: Result<ToProve, Refusal>,
) -> Metered<Proven> {
    let key = to_prove.as_ref().ok().and_then(|it| it.idempotency.as_ref());
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = check_window(app, caller, &window, key).await {
        app.note(Some(Sign::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let conclusion = match to_prove {
        Ok(to_prove) => try_prove(app, caller, &to_prove, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let Conclusion { outcome, sign, replayed } = match conclusion {
        Ok(conclusion) => conclusion,
        Err(denied) => {
            if rate.is_none() && matches!(denied.error, Error::Refused(_)) {
                rate = count(app, caller).await.ok().and_then(|it| it.window);
            }
            Conclusion { outcome: Err(denied.error), sign: denied.sign, replayed: false }
        }
    };
    app.note(sign, Some(caller.user), from);
    app.rate_limiter.note(&window, rate);
    Metered { outcome, rate, replayed }
}

/// Counts an attempt that does not come to the script.
async fn count(app: &App, caller: &Identity) -> Result<Attempts, Fault> {
    app.rate_limiter.attempt(&[(AttemptWindow::Inits(caller.user), app.config.limits.inits_per_minute)]).await
}

async fn try_prove(
    app: &App,
    caller: &Identity,
    to_prove: &ToProve,
    rate: &mut Option<RateWindow>,
) -> Result<Conclusion, Denied> {
    let asked = match to_prove.anti_spam.as_str() {
        "" => None,
        token => Some(super::read_anti_spam(app, caller, token)?),
    };
    let action = find_action(app, to_prove, asked.as_ref())?;
    let token_id = asked.as_ref().map(|it| it.jti.to_string());
    let nothing = Challenge::default();
    let token = ActToken::new();
    let claim = Claim {
        action,
        token_id: token_id.as_deref(),
        in_game: false,
        attempt_id: asked.as_ref().map_or(token.attempt_id(), |it| it.jti),
        challenge: asked.as_ref().map_or(&nothing, |it| &it.chl),
        proof: to_prove.proof.as_ref(),
    };
    let asked = asked.as_ref().map(|it| AskedToken {
        id: it.jti,
        hash: sha256_hex(&[to_prove.anti_spam.as_bytes()]),
        expires_s: it.exp,
    });
    let (verdict, hash, proof_text) = (Verdict::default(), token.hash(), as_text(to_prove.proof.as_ref()));
    let reservation = claim.reservation(app, caller)?;
    let mut request = Prove {
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
        named_session: &to_prove.session,
        proof: &proof_text,
        verdict: &verdict,
        judging: Judging::Local,
        idempotency: to_prove.idempotency.as_ref().map(|it| (it, token.as_str())),
    };
    if let Some(reservation) = &reservation {
        request.judging = Judging::Pending(reservation);
        let reply = app.store.prove(&request).await?;
        *rate = reply.rate;
        if reply.outcome != ProveOutcome::Reserved {
            return Ok(conclude(caller, reply, token, action));
        }
        request.judging = Judging::Done(reservation);
        // The first run has counted the attempt.
        request.per_minute = 0;
    }
    let mut proof = match (verify(app, caller, &claim).await, &reservation, &token_id) {
        (Err(refusal), Some(reservation), Some(token_id)) => {
            release(app, caller, token_id, reservation).await;
            return Err(refusal.into());
        }
        (proof, ..) => proof?,
    };
    let verdict = mem::take(&mut proof.verdict);
    request.verdict = &verdict;
    request.points = action.worth(verdict.difficulty.as_deref());
    let reply = app.store.prove(&request).await?;
    proof.reveal(app, reply.revealed_verdict());
    *rate = rate.or(reply.rate);
    Ok(conclude(caller, reply, token, action))
}

/// The answer to what the script said.
fn conclude(caller: &Identity, reply: ProveReply, token: ActToken, action: &Action) -> Conclusion {
    let ProveReply { outcome, replayed, rate } = reply;
    match outcome {
        ProveOutcome::Proven { expires_at_ms, ttl_ms, token: kept } => {
            // Without an idempotency key nothing is kept.
            let token = ActToken::parse(&kept).unwrap_or(token);
            let expires_in_s = ttl_ms / 1000;
            let proven = Proven { token, action_type: action.kind.clone(), expires_at_ms, expires_in_s };
            Conclusion { outcome: Ok(proven), sign: None, replayed }
        }
        refused => {
            let Denied { error, sign } = refuse(caller, action, refused, rate);
            Conclusion { outcome: Err(error), sign: sign.filter(|_| !replayed), replayed }
        }
    }
}

/// The action that is named by its type, its number and the token: by all of them that are there.
fn find_action<'a>(
    app: &'a App,
    to_prove: &ToProve,
    asked: Option<&AntiSpamClaims>,
) -> Result<&'a Action, Refusal> {
    let names =
        [Some(to_prove.action_type.as_str()).filter(|it| !it.is_empty()), asked.map(|it| it.act.as_str())];
    let is_meant = |it: &&Action| {
        it.is_open(Flow::Tokens)
            && names.iter().flatten().all(|name| it.kind == **name)
            && to_prove.action_number.is_none_or(|number| u64::from(it.number) == number)
    };
    let action = app.catalogue.all().iter().find(is_meant);
    action.ok_or_else(|| invalid_action(app, |it| it.is_open(Flow::Tokens)))
}

fn refuse(caller: &Identity, action: &Action, outcome: ProveOutcome, rate: Option<RateWindow>) -> Denied {
    let (refusal, sign) = match outcome {
        ProveOutcome::Proven { .. } => unreachable!("this was no refusal"),
        ProveOutcome::RateLimited => {
            (rate_limited(&AttemptWindow::Inits(caller.user), rate), Some(Sign::Flooding))
        }
        ProveOutcome::TooSoon { wait_ms } => {
            let window = RateWindow { limit: 1, used: 1, reset_ms: wait_ms };
            (Refusal::RateLimited { limit: "action_interval_seconds", window }, None)
        }
        ProveOutcome::Banned => (Refusal::Banned, None),
        ProveOutcome::NoSession => (Refusal::NoSession, None),
        ProveOutcome::SessionExpired => (Refusal::SessionExpired, None),
        ProveOutcome::SessionMismatch => (Refusal::SessionMismatch, None),
        ProveOutcome::TokenUnknown => (Refusal::InvalidActionToken, Some(Sign::Forged)),
        ProveOutcome::TokenForeign => (Refusal::InvalidActionToken, Some(Sign::Foreign)),
        ProveOutcome::TokenExpired => (Refusal::TokenExpired, Some(Sign::Expired)),
        ProveOutcome::TokenUsed => (Refusal::TokenAlreadyUsed, Some(Sign::Replayed)),
        ProveOutcome::NotOpen => (action_closed(&action.limits), None),
        ProveOutcome::ActionLimited { limit, wait_ms } => (Refusal::ActionLimited { limit, wait_ms }, None),
        ProveOutcome::ProofInvalid { at_ms, too_young } => {
            (Refusal::ProofInvalid { at_ms }, Some(if too_young { Sign::TooFast } else { Sign::ProofFailed }))
        }
        ProveOutcome::BoardClosed | ProveOutcome::OutboxFull => (Refusal::Unavailable(CLOSED), None),
        ProveOutcome::KeyReused => (Refusal::IdempotencyMismatch, None),
        ProveOutcome::Judging | ProveOutcome::Reserved => (Refusal::Unavailable(JUDGING), None),
    };
    Denied { error: refusal.into(), sign }
}
