//! How durable an award must be before the response is sent, as its action and the settings say. See docs/durability.md.

use std::time::Duration;

use super::credential::AuthorizedRedeem;
use crate::account::Identity;
use crate::action::{AckPolicy, Flow};
use crate::award::Awards;
use crate::error::Refusal;

/// The message if the points are awarded but could still be lost with Redis. A repeat of the request waits again.
const NOT_DURABLE: &str =
    "The points were awarded but are not yet durable. Repeat the request with the same Idempotency-Key.";

/// Waits until an award, new or replayed, is as durable as its action and the settings require. `run` is the run of Redis that holds it.
///
/// # Errors
/// `Unavailable`: it was not replicated, or not committed to the ledger, in time.
pub async fn await_durability(
    awards: &Awards,
    caller: &Identity,
    authorized: &AuthorizedRedeem<'_>,
    run: &str,
) -> Result<(), Refusal> {
    match futures::join!(awards.store.replicated(caller.user, run), committed(awards, authorized)) {
        (true, true) => Ok(()),
        _ => Err(Refusal::Unavailable(NOT_DURABLE)),
    }
}

async fn committed(awards: &Awards, authorized: &AuthorizedRedeem<'_>) -> bool {
    let timeout = Duration::from_millis(awards.config.outbox.acknowledge_timeout_ms);
    !needs_ledger(awards, authorized) || awards.ledger.commits.wait(authorized.attempt_id, timeout).await
}

/// True if the award must be in the ledger. Redis forgets the action of a proven token once it is redeemed, so a replay is treated as
/// the strictest action of that API.
fn needs_ledger(awards: &Awards, authorized: &AuthorizedRedeem<'_>) -> bool {
    match authorized.action {
        Some(action) => action.acknowledge == AckPolicy::Ledger,
        None => awards
            .catalogue
            .all()
            .iter()
            .any(|action| action.acknowledge == AckPolicy::Ledger && action.is_open(Flow::Tokens)),
    }
}
