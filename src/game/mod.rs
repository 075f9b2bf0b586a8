//! Game sessions: start, read and end. Each redeemed token of a session returns the next one; `award` redeems them.

use crate::account::Identity;
use crate::action::Limits;
use crate::award::{Awards, RefusalContext, refusal_for};
use crate::error::{Error, RateWindow, Result};
use crate::rate_limit::AttemptOutcome;
use crate::store::{AttemptWindow, FinishedSession, ScriptRefusal, Session, Start};
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
pub async fn start(awards: &Awards, caller: &Identity) -> AttemptOutcome<StartedSession> {
    let window = AttemptWindow::Starts(caller.user);
    if let Err(refusal) = awards.rate_limiter.check(&window) {
        return refusal.into();
    }
    let (session_id, token) = (new_session_id(), ActToken::new());
    let lasts_s = awards.config.tokens.session_seconds;
    let request = Start {
        user: caller.user,
        session_id: &session_id,
        token: token.as_str(),
        token_hash: &token.hash(),
        ttl_ms: lasts_s * 1000,
        per_hour: awards.config.limits.starts_per_hour,
        outbox_max: awards.config.outbox.max_entries,
        event_ids: (awards.clock.new_id(), awards.clock.new_id()),
    };
    let (outcome, rate) = match awards.store.start(&request).await {
        Ok(reply) => reply,
        Err(fault) => return fault.into(),
    };
    awards.rate_limiter.note(&window, rate);
    let outcome = match outcome {
        Ok(expires_at_ms) => Ok(StartedSession { session_id, token, expires_at_ms, lasts_s }),
        Err(reason) => Err(refuse(&reason, caller, rate)),
    };
    AttemptOutcome { outcome, rate, replayed: false }
}

/// Returns the current session, so that a reloaded page can continue it.
///
/// # Errors
/// `NoSession` or `SessionExpired`, or Redis does not answer.
pub async fn current_session(awards: &Awards, caller: &Identity) -> Result<Session> {
    awards.store.session(caller.user).await?.map_err(|reason| refuse(&reason, caller, None))
}

/// Ends the current session and its tokens.
///
/// # Errors
/// `NoSession` or `SessionExpired`, awards are closed, or Redis does not answer.
pub async fn end(awards: &Awards, caller: &Identity) -> Result<FinishedSession> {
    let outbox_max = awards.config.outbox.max_entries;
    let finished = awards.store.finish(caller.user, outbox_max, awards.clock.new_id()).await?;
    finished.map_err(|reason| refuse(&reason, caller, None))
}

fn refuse(reason: &ScriptRefusal, caller: &Identity, rate: Option<RateWindow>) -> Error {
    let context = RefusalContext {
        window: &AttemptWindow::Starts(caller.user),
        rate,
        limits: &Limits::default(),
        token_is_of_session: true,
    };
    refusal_for(reason, &context).into()
}
