//! Game sessions: start, read and end. Each redeemed token of a session returns the next one; `award` redeems them.

use crate::account::Identity;
use crate::app::App;
use crate::award::{AttemptOutcome, CLOSED, rate_limited};
use crate::error::{Error, Refusal, Result};
use crate::store::{AttemptWindow, FinishedSession, NoSession, Session, Start, StartOutcome};
use crate::token::{ActToken, new_session_id};

/// A new session.
pub struct StartedSession {
    /// Its id.
    pub session_id: String,
    /// Its first token.
    pub token: ActToken,
    /// Its expiry and that of all its tokens, in Unix ms.
    pub expires_at_ms: i64,
    /// Its lifetime in seconds.
    pub lasts_s: u64,
}

/// Starts a session and ends the user's previous one.
pub async fn start(app: &App, caller: &Identity) -> AttemptOutcome<StartedSession> {
    let window = AttemptWindow::Starts(caller.user);
    if let Err(refusal) = app.rate_limiter.check(&window) {
        return refusal.into();
    }
    let (session_id, token) = (new_session_id(), ActToken::new());
    let lasts_s = app.config.tokens.session_seconds;
    let request = Start {
        user: caller.user,
        session_id: &session_id,
        token: token.as_str(),
        token_hash: &token.hash(),
        ttl_ms: lasts_s * 1000,
        per_hour: app.config.limits.starts_per_hour,
        outbox_max: app.config.outbox.max_entries,
        event_ids: (app.clock.new_id(), app.clock.new_id()),
    };
    let (outcome, rate) = match app.store.start(&request).await {
        Ok(reply) => reply,
        Err(fault) => return fault.into(),
    };
    app.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        StartOutcome::Started { expires_at_ms } => {
            Ok(StartedSession { session_id, token, expires_at_ms, lasts_s })
        }
        StartOutcome::RateLimited => Err(rate_limited(&window, rate).into()),
        StartOutcome::Banned => Err(Refusal::Banned.into()),
        StartOutcome::BoardClosed | StartOutcome::OutboxFull => Err(Refusal::Unavailable(CLOSED).into()),
    };
    AttemptOutcome { outcome, rate, replayed: false }
}

/// Returns the current session, so that a reloaded page can continue it.
///
/// # Errors
/// `NoSession` or `SessionExpired`, or Redis does not answer.
pub async fn current_session(app: &App, caller: &Identity) -> Result<Session> {
    app.store.session(caller.user).await?.map_err(refuse)
}

/// Ends the current session and its tokens.
///
/// # Errors
/// `NoSession` or `SessionExpired`, awards are closed, or Redis does not answer.
pub async fn end(app: &App, caller: &Identity) -> Result<FinishedSession> {
    let outbox_max = app.config.outbox.max_entries;
    app.store.finish(caller.user, outbox_max, app.clock.new_id()).await?.map_err(refuse)
}

fn refuse(reason: NoSession) -> Error {
    match reason {
        NoSession::None => Refusal::NoSession,
        NoSession::Expired => Refusal::SessionExpired,
        NoSession::Unavailable => Refusal::Unavailable(CLOSED),
    }
    .into()
}
