//! Game sessions: half an hour in which each token gives way to the next (scoreboard-system.md). What a token is redeemed
//! for is the `award` room's; here a session begins, is looked at, and ends.

use crate::account::Identity;
use crate::app::App;
use crate::award::{CLOSED, Metered, rate_limited};
use crate::error::{Error, Refusal, Result};
use crate::store::{AttemptWindow, Finished, NoSession, Session, Start, StartOutcome};
use crate::token::{ActToken, new_session_id};

/// A session that has begun.
pub struct Started {
    /// Its id.
    pub session_id: String,
    /// Its first token.
    pub token: ActToken,
    /// When it runs out, and all its tokens with it, in ms.
    pub expires_at_ms: i64,
    /// How long it lives.
    pub lasts_s: u64,
}

/// Starts a session; the user's earlier one ends.
pub async fn start(app: &App, caller: &Identity) -> Metered<Started> {
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
        Ok(answer) => answer,
        Err(fault) => return fault.into(),
    };
    app.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        StartOutcome::Started { expires_at_ms } => Ok(Started { session_id, token, expires_at_ms, lasts_s }),
        StartOutcome::RateLimited => Err(rate_limited(&window, rate).into()),
        StartOutcome::Banned => Err(Refusal::Banned.into()),
        StartOutcome::BoardClosed | StartOutcome::OutboxFull => Err(Refusal::Unavailable(CLOSED).into()),
    };
    Metered { outcome, rate, replayed: false }
}

/// The live session, so that a reloaded page can go on.
///
/// # Errors
/// There is none, or it has run out; Redis is away.
pub async fn session(app: &App, caller: &Identity) -> Result<Session> {
    app.store.session(caller.user).await?.map_err(refuse)
}

/// Ends the live session and its tokens.
///
/// # Errors
/// There is none, or it has run out; awards are closed; Redis is away.
pub async fn end(app: &App, caller: &Identity) -> Result<Finished> {
    let outbox_max = app.config.outbox.max_entries;
    app.store.finish(caller.user, outbox_max, app.clock.new_id()).await?.map_err(refuse)
}

fn refuse(why: NoSession) -> Error {
    match why {
        NoSession::None => Refusal::NoSession,
        NoSession::Expired => Refusal::SessionExpired,
        NoSession::Unavailable => Refusal::Unavailable(CLOSED),
    }
    .into()
}
