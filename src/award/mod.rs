//! Issues, proves and redeems tokens. All three APIs end in `redeem`, the only function that awards points. The rules that must be
//! atomic are in `lua/`; this module does not depend on HTTP.

mod callback;
mod credential;
mod durability;
mod issue;
mod outcome;
mod prove;
mod redeem;
mod refusal;
mod verify;

pub use callback::redeem_callback;
pub use credential::Credential;
pub use issue::{IssuedToken, issue};
pub use outcome::Award;
pub use prove::{ProveRequest, ProvenToken, prove};
pub use redeem::{RedeemRequest, redeem};
pub use refusal::{RefusalContext, refusal_for};

use std::sync::Arc;

use crate::abuse::{AbuseSignal, AbuseSignals};
use crate::account::{Accounts, Identity};
use crate::action::proof::admob::AdMobKeys;
use crate::action::{Action, Catalogue, Limits};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Fault, Refusal};
use crate::ledger::Ledger;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::rate_limit::RateLimiter;
use crate::receipt::ReceiptKeys;
use crate::store::{AttemptWindow, IdempotencyKey, Reservation, Store};
use crate::token::{AntiSpamClaims, AntiSpamKeys};

/// What awards work with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Awards {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub rate_limiter: Arc<RateLimiter>,
    pub hub: Arc<Hub>,
    pub accounts: Arc<Accounts>,
    pub ledger: Arc<Ledger>,
    pub catalogue: Arc<Catalogue>,
    pub anti_spam: AntiSpamKeys,
    pub receipts: Arc<ReceiptKeys>,
    pub abuse_signals: Arc<AbuseSignals>,
    /// `None` if no action of the catalogue needs it.
    pub admob: Option<Arc<AdMobKeys>>,
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
    awards: &Awards,
    caller: &Identity,
    window: &AttemptWindow,
    key: Option<&IdempotencyKey>,
) -> Result<(), Refusal> {
    if let Some(key) = key {
        let is_exempt = !awards.rate_limiter.is_full(window)
            || awards.store.has_answer(caller.user, key).await.unwrap_or(false);
        if is_exempt {
            return Ok(());
        }
    }
    awards.rate_limiter.check(window)
}

/// Releases a token whose proof was not verified. If Redis does not answer, the reservation expires by itself.
async fn release(awards: &Awards, caller: &Identity, token_id: &str, reservation: &Reservation) {
    if let Err(fault) = awards.store.release(caller.user, token_id, reservation).await {
        tracing::debug!(%fault, %token_id, "reservation not released, waiting for its expiry");
    }
}

/// The refusal for an unknown action, with the types of the available ones.
fn invalid_action(awards: &Awards, is_open: impl Fn(&Action) -> bool) -> Refusal {
    let open = awards.catalogue.all().iter().filter(|action| is_open(action));
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
fn read_anti_spam(awards: &Awards, caller: &Identity, token: &str) -> Result<AntiSpamClaims, Rejection> {
    let claims = awards.anti_spam.read(token).map_err(|refusal| Rejection {
        signal: (refusal == Refusal::InvalidActionToken).then_some(AbuseSignal::Forged),
        error: refusal.into(),
    })?;
    if claims.sub != caller.user {
        return Err(Rejection::suspicious(Refusal::InvalidActionToken, AbuseSignal::Foreign));
    }
    Ok(claims)
}
