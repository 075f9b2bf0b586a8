//! The one door behind all doors: a token is issued, proven, and redeemed for points. It knows no HTTP; the rules that have to
//! be atomic are in `lua/`.

mod answer;
mod callback;
mod issue;
mod permission;
mod prove;
mod redeem;
mod safe;
mod verify;

pub use answer::Award;
pub use callback::credit;
pub use issue::{Issued, issue};
pub use permission::Permission;
pub use prove::{Proven, ToProve, prove};
pub use redeem::{Submission, redeem};

use crate::account::Identity;
use crate::action::{Action, Limits};
use crate::app::App;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::store::{AttemptWindow, IdempotencyKey, Reservation};
use crate::suspicion::Sign;
use crate::token::AntiSpamClaims;

/// An outcome and where the caller's window of attempts stands, which is told whatever the outcome is.
pub struct Metered<T> {
    /// What came of it.
    pub outcome: Result<T>,
    /// The window, where there is a limit and Redis could be asked.
    pub rate: Option<RateWindow>,
    /// Whether this is the first answer under an idempotency key again.
    pub replayed: bool,
}

impl<T, E: Into<Error>> From<E> for Metered<T> {
    fn from(error: E) -> Self {
        Self { outcome: Err(error.into()), rate: None, replayed: false }
    }
}

/// An error, and what it is a sign of: callers are not told the difference between a forged and another user's token.
pub struct Denied {
    /// What the caller is told.
    pub error: Error,
    /// What it looks like.
    pub sign: Option<Sign>,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { error: refusal.into(), sign: None }
    }
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self { error: fault.into(), sign: None }
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self { error, sign: None }
    }
}

impl Denied {
    fn of(refusal: Refusal, sign: Sign) -> Self {
        Self { error: refusal.into(), sign: Some(sign) }
    }
}

/// What a caller hears while awards cannot be taken.
pub const CLOSED: &str = "Awards are closed for the moment, please try again";

/// What a caller hears while another request's proof for the same token is judged.
const JUDGING: &str = "A proof for this token is being judged, please try again";

/// A refusal names no more types than this.
const MAX_TYPES: usize = 100;

/// Rejects an attempt from memory when its window is known to be full. A repeat whose first answer is kept is exempt, for it awards
/// nothing; to look for the answer costs one read.
///
/// # Errors
/// The window is full.
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

/// Frees a token whose proof nobody judged. If Redis is away, the reservation ends by itself.
async fn release(app: &App, caller: &Identity, token_id: &str, reservation: &Reservation) {
    if let Err(fault) = app.store.release(caller.user, token_id, reservation).await {
        tracing::debug!(%fault, "a reservation is left to end by itself");
    }
}

/// The refusal that goes with a full window.
pub fn rate_limited(window: &AttemptWindow, rate: Option<RateWindow>) -> Refusal {
    let none = RateWindow { limit: 0, used: 0, reset_ms: 1000 };
    Refusal::RateLimited { limit: window.limit(), window: rate.unwrap_or(none) }
}

/// The refusal of an action that cannot be had there, with the types of those that can.
fn invalid_action(app: &App, is_open: impl Fn(&Action) -> bool) -> Refusal {
    let open = app.catalogue.all().iter().filter(|it| is_open(it));
    Refusal::InvalidAction { valid: open.take(MAX_TYPES).map(|it| it.kind.clone()).collect() }
}

/// The refusal of an action at a time of day when it is closed.
fn action_closed(limits: &Limits) -> Refusal {
    Refusal::ActionClosed { opens_at_ms: limits.opens_at_ms, closes_at_ms: limits.closes_at_ms() }
}

/// Reads an anti-spam token of this user.
fn read_anti_spam(app: &App, caller: &Identity, token: &str) -> Result<AntiSpamClaims, Denied> {
    let claims = app.anti_spam.read(token).map_err(|refusal| Denied {
        sign: (refusal == Refusal::InvalidActionToken).then_some(Sign::Forged),
        error: refusal.into(),
    })?;
    if claims.sub != caller.user {
        return Err(Denied::of(Refusal::InvalidActionToken, Sign::Foreign));
    }
    Ok(claims)
}
