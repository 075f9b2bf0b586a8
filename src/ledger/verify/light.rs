//! The light check: some users a minute and the ten, so that drift is a metric long before anybody runs `laurel verify`.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::accounts::page;
use super::{Difference, settle, suspects, top};
use crate::app::App;
use crate::error::Fault;

const EVERY: Duration = Duration::from_secs(60);
/// A check: 20,000 users, so that a million are all looked at within an hour.
const PAGES: usize = 10;

/// Checks once a minute, on the node that has the ledger's lead.
pub async fn check_forever(app: Arc<App>) {
    let mut after = Uuid::nil();
    loop {
        tokio::time::sleep(EVERY).await;
        // A board that is loaded differs from the ledger until it is open; with ten million players that takes minutes.
        if !app.health.is_leader() || !app.health.is_current() {
            continue;
        }
        match check(&app, &mut after).await {
            // It was closed meanwhile.
            Ok(_) if !app.health.is_current() => {}
            Ok(found) => {
                app.metrics.ledger_mismatches.set(found.len() as i64);
                for Difference { of, what } in found {
                    tracing::error!(of, what, "Redis and the ledger do not agree");
                }
            }
            Err(fault) => tracing::warn!(%fault, "the light check goes on in a minute"),
        }
    }
}

/// Compares the ten of those who have the most in Redis, and the totals of the users after one; at the end it begins anew. Returns
/// what does not agree.
///
/// # Errors
/// A store is away.
pub async fn check(app: &App, after: &mut Uuid) -> Result<Vec<Difference>, Fault> {
    let mut suspected = Vec::new();
    for _ in 0..PAGES {
        let accounts = page(&app.database, *after).await?;
        app.metrics.ledger_checked_users.inc_by(accounts.len() as u64);
        *after = accounts.last().map_or(Uuid::nil(), |it| it.user);
        if accounts.is_empty() {
            break;
        }
        suspected.extend(suspects(app, &accounts).await?);
    }
    let mut found = settle(app, suspected).await?;
    found.extend(top::compare(app, top::Of::AtHand).await?);
    Ok(found)
}
