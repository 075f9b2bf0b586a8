//! Periodic cleanup in Postgres, once a minute on every node: closes expired game sessions, deletes old abuse signals and expired proofs,
//! runs contract migrations, creates the ledger's next months. Rows are handled in small batches that skip locked rows, so nodes do not
//! disturb each other and no lock is held for long.

use std::time::Duration;

use crate::db::{Database, sql_fault};
use crate::error::Fault;
use crate::ledger::contract;
use crate::supervise::every;

const INTERVAL: Duration = Duration::from_secs(60);
/// Rows per statement.
const BATCH: i64 = 1000;

/// Expired proofs are kept this long, by Postgres' clock. Redis' clock may be set back by a day and be a day behind.
const PROOF_GRACE_DAYS: u32 = 2;

/// Sweeps once a minute.
pub async fn sweep_forever(database: &Database, retention_days: u32) {
    let step = || async move {
        let swept = sweep(database, retention_days).await;
        swept.and(contract(database).await).map(drop)
    };
    every(INTERVAL, "retention sweep", step).await;
}

/// Closes expired sessions and deletes abuse signals older than `retention_days`. Returns the number of sessions closed.
///
/// # Errors
/// Postgres is unavailable. The next sweep continues.
pub async fn sweep(database: &Database, retention_days: u32) -> Result<u64, Fault> {
    let closed = run_in_batches(
        database,
        "UPDATE game_sessions SET is_active = FALSE, ended_at = expires_at
         WHERE id IN (SELECT id FROM game_sessions WHERE is_active AND expires_at < now() - make_interval(days => $1)
                      LIMIT $2 FOR UPDATE SKIP LOCKED)",
        0,
    )
    .await?;
    for (delete, days) in [
        (
            "DELETE FROM suspect_addresses
             WHERE ctid IN (SELECT ctid FROM suspect_addresses WHERE hour < now() - make_interval(days => $1)
                            LIMIT $2 FOR UPDATE SKIP LOCKED)",
            retention_days,
        ),
        (
            "DELETE FROM abuse_signals
             WHERE ctid IN (SELECT ctid FROM abuse_signals WHERE hour < now() - make_interval(days => $1)
                            LIMIT $2 FOR UPDATE SKIP LOCKED)",
            retention_days,
        ),
        (
            "DELETE FROM used_proofs
             WHERE digest IN (SELECT digest FROM used_proofs WHERE until_at < now() - make_interval(days => $1)
                              LIMIT $2 FOR UPDATE SKIP LOCKED)",
            PROOF_GRACE_DAYS,
        ),
    ] {
        run_in_batches(database, delete, days).await?;
    }
    Ok(closed)
}

async fn run_in_batches(database: &Database, statement: &'static str, days: u32) -> Result<u64, Fault> {
    let mut rows = 0;
    loop {
        let done = sqlx::query(statement).bind(days as i32).bind(BATCH).execute(database).await;
        let done = done.map_err(|error| sql_fault("sweep", error))?.rows_affected();
        rows += done;
        if done < BATCH as u64 {
            return Ok(rows);
        }
    }
}
