//! `init`: issues a single-use token for one action, with the challenge that its proof has to answer.

use std::net::IpAddr;

use serde_json::Value;
use uuid::Uuid;

use super::invalid_action;
use super::refusal::{RefusalContext, refusal_for};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::proof::ChallengeContext;
use crate::action::{Action, Flow};
use crate::award::Awards;
use crate::clock::rfc3339;
use crate::error::Fault;
use crate::rate_limit::AttemptOutcome;
use crate::store::{AttemptWindow, ChallengeSeed, Issue};
use crate::token::AntiSpamClaims;

/// A new anti-spam token.
pub struct IssuedToken {
    /// The JWT.
    pub token: String,
    /// Its lifetime in seconds.
    pub expires_in_s: u64,
    /// The token's id.
    pub action_id: Uuid,
    /// The challenge for the client; `None` if the proof needs none.
    pub challenge: Option<Value>,
}

/// Issues a token for an action of the catalogue. `finalize` redeems it; `action-tokens` also accepts it if the action is open there.
pub async fn issue(
    awards: &Awards,
    caller: &Identity,
    from: IpAddr,
    action_type: &str,
) -> AttemptOutcome<IssuedToken> {
    let catalogue = &awards.catalogue;
    let found =
        catalogue.find(action_type, Flow::Actions).or_else(|| catalogue.find(action_type, Flow::Tokens));
    let Some(action) = found else {
        return invalid_action(awards, |action| {
            action.is_open(Flow::Actions) || action.is_open(Flow::Tokens)
        })
        .into();
    };
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = awards.rate_limiter.check(&window) {
        awards.abuse_signals.note(Some(AbuseSignal::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let expires_in_s = action.token_seconds.unwrap_or(awards.config.tokens.anti_spam_seconds);
    let request = Issue {
        user: caller.user,
        action: &action.kind,
        points: action.points,
        token_id: awards.clock.new_id(),
        ttl_ms: expires_in_s * 1000,
        per_minute: awards.config.limits.inits_per_minute,
        limits: &action.limits,
        outbox_max: awards.config.outbox.max_entries,
        paced_from: action.proof.is_paced().then_some(from),
        draws: action.proof.has_quiz(),
    };
    let (outcome, rate) = match awards.store.issue(&request).await {
        Ok(reply) => reply,
        Err(fault) => return fault.into(),
    };
    awards.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        Ok(seed) => sign(awards, caller, action, request.token_id, seed, expires_in_s).map_err(Into::into),
        Err(reason) => {
            let context =
                RefusalContext { window: &window, rate, limits: &action.limits, token_is_of_session: false };
            Err(refusal_for(&reason, &context).into())
        }
    };
    AttemptOutcome { outcome, rate, replayed: false }
}

/// Signs the token after the script has run, because its times are Redis' own.
fn sign(
    awards: &Awards,
    caller: &Identity,
    action: &Action,
    token_id: Uuid,
    seed: ChallengeSeed,
    expires_in_s: u64,
) -> Result<IssuedToken, Fault> {
    let expires_at_ms = seed.issued_at_ms + expires_in_s as i64 * 1000;
    let challenge = action.proof.challenge(&ChallengeContext {
        user: caller.user,
        paces: seed.paces,
        drawn: seed.drawn,
        secret: awards.anti_spam.quiz_secret(),
    });
    let described = action.proof.describe(&challenge, &token_id.to_string(), seed.issued_at_ms, rfc3339);
    let claims = AntiSpamClaims {
        sub: caller.user,
        act: action.kind.clone(),
        jti: token_id,
        iat: seed.issued_at_ms / 1000,
        exp: (expires_at_ms + 999) / 1000,
        chl: challenge,
    };
    let token = awards.anti_spam.sign(&claims)?;
    Ok(IssuedToken { token, expires_in_s, action_id: token_id, challenge: described })
}
