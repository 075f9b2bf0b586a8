//! What an award must have survived before it is answered: that depends on its action and on the settings. See docs/durability.md.

use std::time::Duration;

use super::permission::Judged;
use crate::account::Identity;
use crate::action::{Acknowledge, Flow};
use crate::app::App;
use crate::error::Refusal;

/// What a caller hears whose points are counted, but could still be lost. A repeat of the request waits again.
const NOT_SAFE: &str =
    "The points are counted but not safe yet, please ask again with the same Idempotency-Key";

/// Waits until an award, made now or the first time, as a `run` of Redis says, is as safe as its action and the settings ask.
///
/// # Errors
/// It is not yet.
pub async fn wait_until_safe(
    app: &App,
    caller: &Identity,
    judged: &Judged<'_>,
    run: &str,
) -> Result<(), Refusal> {
    match futures::join!(app.store.replicated(caller.user, run), committed(app, judged)) {
        (true, true) => Ok(()),
        _ => Err(Refusal::Unavailable(NOT_SAFE)),
    }
}

async fn committed(app: &App, judged: &Judged<'_>) -> bool {
    let most = Duration::from_millis(app.config.outbox.acknowledge_timeout_ms);
    !by_the_ledger(app, judged) || app.commits.wait(judged.attempt_id, most).await
}

/// Of a proven token that was redeemed before, Redis does not know any more what it was for: it counts as the strictest.
fn by_the_ledger(app: &App, judged: &Judged<'_>) -> bool {
    match judged.action {
        Some(action) => action.acknowledge == Acknowledge::Ledger,
        None => app
            .catalogue
            .all()
            .iter()
            .any(|it| it.acknowledge == Acknowledge::Ledger && it.flows.contains(&Flow::Tokens)),
    }
}
