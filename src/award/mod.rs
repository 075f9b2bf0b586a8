//! Issues, proves and redeems tokens. All three APIs end in `redeem`, the only function that awards points. The rules that must be
//! atomic are in `lua/`; this module does not depend on HTTP.

mod callback;
mod credential;
mod durability;
mod issue;
mod outcome;
mod prove;
mod redeem;
mod verify;

pub use callback::redeem_callback;
pub use credential::Credential;
pub use issue::{IssuedToken, issue};
pub use outcome::Award;
pub use prove::{ProveRequest, ProvenToken, prove};
pub use redeem::{RedeemRequest, redeem};

use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Action, Limits};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{AttemptWindow, IdempotencyKey, Reservation};
use crate::token::AntiSpamClaims;

/// The outcome of an attempt and the caller's rate-limit window, which every response reports.
pub struct AttemptOutcome<T> {
    /// The result, or why the attempt failed.
    pub outcome: Result<T>,
    /// The rate-limit window; `None` without a limit, or if Redis did not answer.
    pub rate: Option<RateWindow>,
    /// True if the response was replayed for a repeated `Idempotency-Key`.
    pub replayed: bool,
}

impl<T, E: Into<Error>> From<E> for AttemptOutcome<T> {
    fn from(error: E) -> Self {
        Self { outcome: Err(error.into()), rate: None, replayed: false }
    }
}

/// An error with the abuse signal it raises. The signal is separate because callers must not learn, for example, whether a token was
/// forged or belongs to another user.
pub struct Rejection {
    /// The error that the caller sees.
    pub error: Error,
    /// The abuse signal to count, if any.
    pub signal: Option<AbuseSignal>,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self { error: refusal.into(), signal: None }
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self { error: fault.into(), signal: None }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self { error, signal: None }
    }
}

impl Rejection {
    fn suspicious(refusal: Refusal, signal: AbuseSignal) -> Self {
        Self { error: refusal.into(), signal: Some(signal) }
    }
}

/// The message while the board is closed or the outbox is full. Nothing was awarded.
pub const CLOSED: &str = "Awards are temporarily closed. No points were awarded. Try again.";

/// The message while another request holds the token's reservation.
const BEING_VERIFIED: &str = "Another request's proof for this token is being verified. Try again.";

/// The most action types that `INVALID_ACTION` lists.
const MAX_TYPES: usize = 100;

/// Rejects an attempt from memory if its rate-limit window is known to be full. A replay is exempt because it awards nothing; finding
/// the stored response costs one read of Redis.
///
/// # Errors
/// `RateLimited`: the window is full.
async fn check_window(
    app: &App,
    caller: &Identity,
    window: &AttemptWindow,
    key: Option<&IdempotencyKey>,
) -> Result<(), Refusal> {
    if let Some(key) = key {
        let is_exempt = !app.rate_limiter.is_full(window)
            || app.store.has_answer(caller.user, key).await.unwrap_or(false);
        if is_exempt {
            return Ok(());
        }
    }
    app.rate_limiter.check(window)
}

/// Releases a token whose proof was not verified. If Redis does not answer, the reservation expires by itself.
async fn release(app: &App, caller: &Identity, token_id: &str, reservation: &Reservation) {
    if let Err(fault) = app.store.release(caller.user, token_id, reservation).await {
        tracing::debug!(%fault, %token_id, "reservation not released, waiting for its expiry");
    }
}

/// The refusal for a full window.
pub fn rate_limited(window: &AttemptWindow, rate: Option<RateWindow>) -> Refusal {
    let unknown = RateWindow { limit: 0, used: 0, reset_ms: 1000 };
    Refusal::RateLimited { limit: window.limit(), window: rate.unwrap_or(unknown) }
}

/// The refusal for an unknown action, with the types of the available ones.
fn invalid_action(app: &App, is_open: impl Fn(&Action) -> bool) -> Refusal {
    let open = app.catalogue.all().iter().filter(|action| is_open(action));
    Refusal::InvalidAction { valid: open.take(MAX_TYPES).map(|it| it.kind.clone()).collect() }
}

/// The refusal for an action outside its `open_hours`.
fn action_closed(limits: &Limits) -> Refusal {
    Refusal::ActionClosed { opens_at_ms: limits.opens_at_ms, closes_at_ms: limits.closes_at_ms() }
}

/// Verifies an anti-spam token and checks that it belongs to the caller.
///
/// # Errors
/// The token is missing, malformed, forged, or another user's.
fn read_anti_spam(app: &App, caller: &Identity, token: &str) -> Result<AntiSpamClaims, Rejection> {
    let claims = app.anti_spam.read(token).map_err(|refusal| Rejection {
        signal: (refusal == Refusal::InvalidActionToken).then_some(AbuseSignal::Forged),
        error: refusal.into(),
    })?;
    if claims.sub != caller.user {
        return Err(Rejection::suspicious(Refusal::InvalidActionToken, AbuseSignal::Foreign));
    }
    Ok(claims)
}
