//! `init`: issues a single-use token for one action, with the challenge that its proof has to answer.

use std::net::IpAddr;

use serde_json::Value;
use uuid::Uuid;

use super::{AttemptOutcome, CLOSED, action_closed, invalid_action};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::proof::ChallengeContext;
use crate::action::{Action, Flow};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Fault, Refusal};
use crate::store::{AttemptWindow, ChallengeSeed, Issue, IssueOutcome};
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
    app: &App,
    caller: &Identity,
    from: IpAddr,
    action_type: &str,
) -> AttemptOutcome<IssuedToken> {
    let catalogue = &app.catalogue;
    let found =
        catalogue.find(action_type, Flow::Actions).or_else(|| catalogue.find(action_type, Flow::Tokens));
    let Some(action) = found else {
        return invalid_action(app, |action| action.is_open(Flow::Actions) || action.is_open(Flow::Tokens))
            .into();
    };
    let window = AttemptWindow::Inits(caller.user);
    if let Err(refusal) = app.rate_limiter.check(&window) {
        app.note(Some(AbuseSignal::Flooding), Some(caller.user), from);
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
        draws: action.proof.has_quiz(),
    };
    let (outcome, rate) = match app.store.issue(&request).await {
        Ok(reply) => reply,
        Err(fault) => return fault.into(),
    };
    app.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        IssueOutcome::Issued(seed) => {
            sign(app, caller, action, request.token_id, seed, expires_in_s).map_err(Into::into)
        }
        IssueOutcome::RateLimited => Err(super::rate_limited(&window, rate).into()),
        IssueOutcome::Banned => Err(Refusal::Banned.into()),
        IssueOutcome::NotOpen => Err(action_closed(&action.limits).into()),
        IssueOutcome::ActionLimited { limit, wait_ms } => {
            Err(Refusal::ActionLimited { limit, wait_ms }.into())
        }
        IssueOutcome::BoardClosed | IssueOutcome::OutboxFull => Err(Refusal::Unavailable(CLOSED).into()),
    };
    AttemptOutcome { outcome, rate, replayed: false }
}

/// Signs the token after the script has run, because its times are Redis' own.
fn sign(
    app: &App,
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
        secret: app.anti_spam.quiz_secret(),
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
    let token = app.anti_spam.sign(&claims)?;
    Ok(IssuedToken { token, expires_in_s, action_id: token_id, challenge: described })
}
