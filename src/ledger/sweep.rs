//! What time has passed over in Postgres: sessions that ran out are closed, suspicions beyond the retention and proofs that ran out
//! go, in small batches that skip what somebody else holds, so that no lock is held for long, and any node may sweep. And what has
//! waited for its time: migrations that contract, and the ledger's next months.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::migrate::contract;
use super::sql_fault;
use crate::app::App;
use crate::error::Fault;

const EVERY: Duration = Duration::from_secs(60);
/// Rows a statement.
const BATCH: i64 = 1000;

/// So long after it ran out a used proof is kept, by Postgres' clock: Redis' may be set back by a day, and be a day behind.
const PROOFS_KEPT_DAYS: u32 = 2;

/// Sweeps once a minute.
pub async fn sweep_forever(app: Arc<App>) {
    loop {
        let swept = sweep(&app.database, app.config.abuse.retention_days).await;
        if let Err(fault) = swept.and(contract(&app.database, &app.receipts).await) {
            tracing::warn!(%fault, "the sweep goes on in a minute");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Closes sessions that ran out, and deletes suspicions of so many days ago. Returns how many sessions.
///
/// # Errors
/// Postgres is away; the next sweep goes on.
pub async fn sweep(database: &PgPool, retention_days: u32) -> Result<u64, Fault> {
    let closed = in_batches(
        database,
        "UPDATE game_sessions SET is_active = FALSE, ended_at = expires_at
         WHERE id IN (SELECT id FROM game_sessions WHERE is_active AND expires_at < now() - make_interval(days => $1)
                      LIMIT $2 FOR UPDATE SKIP LOCKED)",
        0,
    )
    .await?;
    in_batches(
        database,
        "DELETE FROM suspect_addresses
         WHERE ctid IN (SELECT ctid FROM suspect_addresses WHERE hour < now() - make_interval(days => $1)
                        LIMIT $2 FOR UPDATE SKIP LOCKED)",
        retention_days,
    )
    .await?;
    in_batches(
        database,
        "DELETE FROM suspicions
         WHERE ctid IN (SELECT ctid FROM suspicions WHERE hour < now() - make_interval(days => $1)
                        LIMIT $2 FOR UPDATE SKIP LOCKED)",
        retention_days,
    )
    .await?;
    in_batches(
        database,
        "DELETE FROM used_proofs
         WHERE digest IN (SELECT digest FROM used_proofs WHERE until_at < now() - make_interval(days => $1)
                          LIMIT $2 FOR UPDATE SKIP LOCKED)",
        PROOFS_KEPT_DAYS,
    )
    .await?;
    Ok(closed)
}

async fn in_batches(database: &PgPool, statement: &'static str, days: u32) -> Result<u64, Fault> {
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
