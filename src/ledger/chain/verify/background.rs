//! The background check: a sample of users and the top list, once a minute on the leader. It feeds `laurel_ledger_mismatches`, so
//! differences show up before anyone runs `laurel verify`.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::user_totals::totals_page;
use super::{Mismatch, find_suspected, recheck, top_list};
use crate::error::Fault;
use crate::ledger::Ledger;

const INTERVAL: Duration = Duration::from_secs(60);
/// Pages per check: 20,000 users, so a million users take less than an hour.
const PAGES: usize = 10;

/// Runs the check once a minute while this node is the ledger leader.
pub async fn check_forever(ledger: Arc<Ledger>) {
    let mut after = Uuid::nil();
    loop {
        tokio::time::sleep(INTERVAL).await;
        // A board that is being loaded differs from the ledger. With ten million players that takes minutes.
        if !ledger.health.is_leader() || !ledger.health.is_current() {
            continue;
        }
        match check_sample(&ledger, &mut after).await {
            // The board was closed in the meantime.
            Ok(_) if !ledger.health.is_current() => {}
            Ok(mismatches) => {
                ledger.metrics.ledger_mismatches.set(mismatches.len() as i64);
                for Mismatch { subject, detail } in mismatches {
                    tracing::error!(
                        subject,
                        detail,
                        runbook = "LaurelLedgerMismatch",
                        "redis does not match the ledger"
                    );
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, retry_in_seconds = INTERVAL.as_secs(), "ledger check failed");
            }
        }
    }
}

/// Compares the totals of the users that follow `after`, and the top list with the ledger's entries of the highest scores in Redis. `after`
/// moves on, and starts over after the last user.
///
/// # Errors
/// A store is unavailable.
pub async fn check_sample(ledger: &Ledger, after: &mut Uuid) -> Result<Vec<Mismatch>, Fault> {
    let mut suspected = Vec::new();
    for _ in 0..PAGES {
        let users = totals_page(&ledger.database, *after).await?;
        ledger.metrics.ledger_checked_users.inc_by(users.len() as u64);
        *after = users.last().map_or(Uuid::nil(), |it| it.user);
        if users.is_empty() {
            break;
        }
        suspected.extend(find_suspected(ledger, &users).await?);
    }
    let mut mismatches = recheck(ledger, suspected).await?;
    mismatches.extend(top_list::compare(ledger, top_list::Source::HighestInRedis).await?);
    Ok(mismatches)
}
