//! `init`: a single-use token for one action, and what has to be shown to redeem it.

use std::net::IpAddr;

use serde_json::Value;
use uuid::Uuid;

use super::{CLOSED, Metered, action_closed, invalid_action};
use crate::account::Identity;
use crate::action::proof::Asked;
use crate::action::{Action, Flow};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Fault, Refusal};
use crate::store::{AttemptWindow, Begun, Issue, IssueOutcome};
use crate::suspicion::Sign;
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

/// Issues a token for an action of the catalogue. It serves `finalize`, and `action-tokens` where the action is open there.
pub async fn issue(app: &App, caller: &Identity, from: IpAddr, action_type: &str) -> Metered<Issued> {
    let catalogue = &app.catalogue;
    let found =
        catalogue.find(action_type, Flow::Actions).or_else(|| catalogue.find(action_type, Flow::Tokens));
    let Some(action) = found else {
        return invalid_action(app, |it| it.is_open(Flow::Actions) || it.is_open(Flow::Tokens)).into();
    };
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = app.rate_limiter.check(&window) {
        app.note(Some(Sign::Flooding), Some(caller.user), from);
        return refusal.into();
    }
    let expires_in_s = action.token_seconds.unwrap_or(app.config.tokens.anti_spam_seconds);
    let request = Issue {
        user: caller.user,
        action: &action.kind,
        points: action.points,
        token_id: app.clock.new_id(),
        ttl_ms: expires_in_s * 1000,
        per_minute: app.config.limits.inits_per_minute,
        limits: &action.limits,
        outbox_max: app.config.outbox.max_entries,
        paced_from: action.proof.is_paced().then_some(from),
        draws: action.proof.draws(),
    };
    let (outcome, rate) = match app.store.issue(&request).await {
        Ok(answer) => answer,
        Err(fault) => return fault.into(),
    };
    app.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        IssueOutcome::Issued(begun) => {
            sign(app, caller, action, request.token_id, begun, expires_in_s).map_err(Into::into)
        }
        IssueOutcome::RateLimited => Err(super::rate_limited(&window, rate).into()),
        IssueOutcome::Banned => Err(Refusal::Banned.into()),
        IssueOutcome::NotOpen => Err(action_closed(&action.limits).into()),
        IssueOutcome::ActionLimited { limit, wait_ms } => {
            Err(Refusal::ActionLimited { limit, wait_ms }.into())
        }
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
    begun: Begun,
    expires_in_s: u64,
) -> Result<Issued, Fault> {
    let expires_at_ms = begun.issued_at_ms + expires_in_s as i64 * 1000;
    let secret = app.anti_spam.secret();
    let challenge =
        action.proof.challenge(&Asked { user: caller.user, paces: begun.paces, drawn: begun.drawn, secret });
    let told = action.proof.tell(&challenge, &token_id.to_string(), begun.issued_at_ms, rfc3339);
    let claims = AntiSpamClaims {
        sub: caller.user,
        act: action.kind.clone(),
        jti: token_id,
        iat: begun.issued_at_ms / 1000,
        exp: (expires_at_ms + 999) / 1000,
        chl: challenge,
    };
    Ok(Issued { token: app.anti_spam.sign(&claims)?, expires_in_s, action_id: token_id, challenge: told })
}
