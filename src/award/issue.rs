//! `init`: a single-use token for one action, and what has to be shown to redeem it.

use serde_json::Value;
use uuid::Uuid;

use super::{CLOSED, Metered};
use crate::account::Identity;
use crate::action::{Action, Door};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Fault, Refusal};
use crate::store::{Issue, IssueOutcome};
use crate::token::AntiSpamClaims;

/// A token that was given out.
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// How long it lives.
    pub expires_in_s: u64,
    /// Its id.
    pub action_id: Uuid,
    /// What has to be shown.
    pub challenge: Option<Value>,
}

/// Issues a token for an action of the catalogue.
pub async fn issue(app: &App, caller: &Identity, action_type: &str) -> Metered<Issued> {
    let Some(action) = app.catalogue.find(action_type, Door::Actions) else {
        return Refusal::InvalidAction.into();
    };
    let expires_in_s = app.config.tokens.anti_spam_seconds;
    let request = Issue {
        user: caller.user,
        action: &action.kind,
        points: action.points,
        token_id: app.clock.new_id(),
        ttl_ms: expires_in_s * 1000,
        per_minute: app.config.limits.inits_per_minute,
        limits: &action.limits,
        outbox_max: app.config.outbox.max_entries,
    };
    let (outcome, rate) = match app.store.issue(&request).await {
        Ok(answer) => answer,
        Err(fault) => return fault.into(),
    };
    let outcome = match outcome {
        IssueOutcome::Issued { issued_at_ms } => {
            sign(app, caller, action, request.token_id, issued_at_ms).map_err(Into::into)
        }
        IssueOutcome::RateLimited => Err(super::redeem::rate_limited(rate).into()),
        IssueOutcome::Banned => Err(Refusal::Banned.into()),
        IssueOutcome::ActionLimited { wait_ms } => Err(Refusal::ActionLimited { wait_ms }.into()),
        IssueOutcome::BoardClosed | IssueOutcome::OutboxFull => Err(Refusal::Unavailable(CLOSED).into()),
    };
    Metered { outcome, rate, replayed: false }
}

/// Writes the token. Its times are Redis' own, so it is signed after the script has run.
fn sign(
    app: &App,
    caller: &Identity,
    action: &Action,
    token_id: Uuid,
    issued_at_ms: i64,
) -> Result<Issued, Fault> {
    let expires_in_s = app.config.tokens.anti_spam_seconds;
    let expires_at_ms = issued_at_ms + expires_in_s as i64 * 1000;
    let challenge = action.proof.challenge(rand::random());
    let told = action.proof.tell(&challenge, &token_id.to_string(), issued_at_ms, rfc3339);
    let claims = AntiSpamClaims {
        sub: caller.user,
        act: action.kind.clone(),
        jti: token_id,
        iat: issued_at_ms / 1000,
        exp: (expires_at_ms + 999) / 1000,
        chl: challenge,
    };
    Ok(Issued { token: app.anti_spam.sign(&claims)?, expires_in_s, action_id: token_id, challenge: told })
}
