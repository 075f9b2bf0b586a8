//! `action-tokens`: the action is verified first, then a proven token is issued (action-verifier.md).

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::verify::{Claim, as_text, verify};
use super::{CLOSED, Denied, Metered, rate_limited};
use crate::account::Identity;
use crate::action::{Action, Challenge, Door};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal};
use crate::store::{AskedToken, AttemptWindow, Attempts, Prove, ProveOutcome};
use crate::suspicion::Sign;
use crate::token::{ActToken, AntiSpamClaims, sha256_hex};

/// What a client hands in to be verified.
pub struct ToProve {
    /// The action's type; empty: the anti-spam token says it.
    pub action_type: String,
    /// The token that asked for the proof, or empty.
    pub anti_spam: String,
    /// The session that the request names, or empty.
    pub session: String,
    /// The proof.
    pub proof: Option<Map<String, Value>>,
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

/// Verifies an action and issues a proven token for it.
pub async fn prove(
    app: &App,
    caller: &Identity,
    from: IpAddr,
    to_prove: Result<ToProve, Refusal>,
) -> Metered<Proven> {
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = app.gate.check(&window) {
        app.note(Some(Sign::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let mut rate = None;
    let outcome = match to_prove {
        Ok(to_prove) => try_prove(app, caller, &to_prove, &mut rate).await,
        Err(refusal) => Err(refusal.into()),
    };
    let outcome = match outcome {
        Ok(proven) => Ok(proven),
        Err(denied) => {
            if rate.is_none() && matches!(denied.error, Error::Refused(_)) {
                rate = count(app, caller).await.ok().and_then(|it| it.window);
            }
            app.note(denied.sign, Some(caller.user), from);
            Err(denied.error)
        }
    };
    app.gate.note(&window, rate);
    Metered { outcome, rate, replayed: false }
}

/// Counts an attempt that does not come to the script, or comes to it late.
async fn count(app: &App, caller: &Identity) -> Result<Attempts, Fault> {
    app.gate.attempt(&[(AttemptWindow::Inits(caller.user), app.config.limits.inits_per_minute)]).await
}

async fn try_prove(
    app: &App,
    caller: &Identity,
    to_prove: &ToProve,
    rate: &mut Option<RateWindow>,
) -> Result<Proven, Denied> {
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
    if action.proof.reaches_out() {
        let attempts = count(app, caller).await?;
        *rate = attempts.window;
        if !attempts.allowed {
            return Err(Denied::of(rate_limited(attempts.window), Sign::Flooding));
        }
    }
    let verdict = verify(app, caller, &claim).await?;
    let expires_in_s = app.config.tokens.action_seconds;
    let asked = asked.map(|it| AskedToken {
        id: it.jti,
        hash: sha256_hex(&[to_prove.anti_spam.as_bytes()]),
        expires_s: it.exp,
    });
    let (outcome, window) = app
        .store
        .prove(&Prove {
            user: caller.user,
            action: &action.kind,
            points: action.worth(verdict.difficulty.as_deref()),
            limits: &action.limits,
            attempt_id: token.attempt_id(),
            token_hash: &token.hash(),
            ttl_ms: expires_in_s * 1000,
            // What was counted before somebody was asked is not counted again.
            per_minute: if rate.is_some() { 0 } else { app.config.limits.inits_per_minute },
            interval_ms: app.config.tokens.action_interval_seconds * 1000,
            outbox_max: app.config.outbox.max_entries,
            asked: asked.as_ref(),
            named_session: &to_prove.session,
            proof: &as_text(to_prove.proof.as_ref()),
            verdict: &verdict,
        })
        .await?;
    *rate = rate.or(window);
    match outcome {
        ProveOutcome::Proven { expires_at_ms } => {
            Ok(Proven { token, action_type: action.kind.clone(), expires_at_ms, expires_in_s })
        }
        refused => Err(refuse(refused, window)),
    }
}

/// The action that is named, and by the token too if both do.
fn find_action<'a>(
    app: &'a App,
    to_prove: &ToProve,
    asked: Option<&AntiSpamClaims>,
) -> Result<&'a Action, Refusal> {
    let named = to_prove.action_type.as_str();
    let kind = match asked {
        Some(claims) if named.is_empty() || claims.act == named => claims.act.as_str(),
        Some(_) => return Err(Refusal::InvalidAction),
        None => named,
    };
    app.catalogue.find(kind, Door::Tokens).ok_or(Refusal::InvalidAction)
}

fn refuse(outcome: ProveOutcome, rate: Option<RateWindow>) -> Denied {
    let (refusal, sign) = match outcome {
        ProveOutcome::Proven { .. } => unreachable!("this was no refusal"),
        ProveOutcome::RateLimited => (rate_limited(rate), Some(Sign::Flooding)),
        ProveOutcome::TooSoon { wait_ms } => {
            (Refusal::RateLimited(RateWindow { limit: 1, used: 1, reset_ms: wait_ms }), None)
        }
        ProveOutcome::Banned => (Refusal::Banned, None),
        ProveOutcome::NoSession => (Refusal::NoSession, None),
        ProveOutcome::SessionExpired => (Refusal::SessionExpired, None),
        ProveOutcome::SessionMismatch => (Refusal::SessionMismatch, None),
        ProveOutcome::TokenUnknown => (Refusal::InvalidActionToken, Some(Sign::Forged)),
        ProveOutcome::TokenForeign => (Refusal::InvalidActionToken, Some(Sign::Foreign)),
        ProveOutcome::TokenExpired => (Refusal::TokenExpired, Some(Sign::Expired)),
        ProveOutcome::TokenUsed => (Refusal::TokenAlreadyUsed, Some(Sign::Replayed)),
        ProveOutcome::NotOpen => (Refusal::InvalidAction, None),
        ProveOutcome::ActionLimited { wait_ms } => (Refusal::ActionLimited { wait_ms }, None),
        ProveOutcome::ProofInvalid { at_ms, too_young } => {
            (Refusal::ProofInvalid { at_ms }, Some(if too_young { Sign::TooFast } else { Sign::ProofFailed }))
        }
        ProveOutcome::BoardClosed | ProveOutcome::OutboxFull => (Refusal::Unavailable(CLOSED), None),
    };
    Denied { error: refusal.into(), sign }
}
