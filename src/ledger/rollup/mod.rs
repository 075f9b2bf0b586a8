//! Rollups for the admin console: sums of the other tables (see migrations/README.md). The leader adds new rows in batches. Each batch is a
//! transaction that locks `rollup_heads`, so concurrent writers wait and continue after it. Rollups are not part of the ledger's
//! transactions: here many awards of one user are one write, and under load more of them are combined.

mod awards;
mod batch_totals;
mod most_active;
mod new_users;
mod period;
mod sessions;

pub use period::{HOUR_MS, Period};
pub use sessions::{SESSION_CLASSES, UNCOUNTED_SESSIONS};

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::db::{begin, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::SHARD;

/// Pause after a full batch, as a multiple of its duration: catching up takes half of the time.
const BACKLOG_PAUSE_FACTOR: u32 = 1;
/// Pause after a partial batch, as a multiple of its duration and within bounds. So rollups use at most 5 % of one core, and on a quiet
/// server they are a second old.
const PAUSE_FACTOR: u32 = 20;
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often users and sessions are added.
const ROWS_INTERVAL: Duration = Duration::from_secs(60);
/// A batch that takes longer gets no answer any more: the connection was cut without notice.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Younger entries may still be on their way to Postgres.
const IN_FLIGHT_MS: i64 = 10_000;

/// Adds new rows while this node is the ledger leader.
pub async fn roll_up_forever(ledger: Arc<Ledger>) {
    let (mut pause, mut rows_added) = (PAUSE.0, None::<Instant>);
    loop {
        tokio::time::sleep(pause).await;
        pause = PAUSE.0;
        if !ledger.health.is_leader() {
            continue;
        }
        let started = Instant::now();
        let rows_are_due = rows_added.is_none_or(|at| at.elapsed() > ROWS_INTERVAL);
        match roll_up(&ledger, rows_are_due).await {
            Ok(true) => pause = started.elapsed() * BACKLOG_PAUSE_FACTOR,
            Ok(false) => {
                pause = (started.elapsed() * PAUSE_FACTOR).clamp(PAUSE.0, PAUSE.1);
                rows_added = if rows_are_due { Some(started) } else { rows_added };
            }
            Err(fault) if fault.retryable => tracing::debug!(%fault, "rollup postponed, store unavailable"),
            Err(fault) => {
                tracing::error!(%fault, runbook = "LaurelSumsBehind", "rollup failed, admin statistics are stale")
            }
        }
    }
}

/// Adds a batch of awards, and of users and sessions if they are due. Returns true if another full batch is ready.
///
/// # Errors
/// A store is unavailable. The next call continues.
pub async fn roll_up(ledger: &Ledger, rows_are_due: bool) -> Result<bool, Fault> {
    let more = add_awards(ledger).await?;
    Ok(if rows_are_due { add_rows(ledger).await? | more } else { more })
}

/// Returns true if another full batch is ready. Partial ones wait for more entries.
async fn add_awards(ledger: &Ledger) -> Result<bool, Fault> {
    let query_name = "read_rollup_heads";
    let behind = sqlx::query_scalar(
        "SELECT l.seq - r.seq FROM rollup_heads r JOIN ledger_heads l USING (shard) WHERE shard = $1",
    );
    let behind = timed(&ledger.metrics, query_name, behind.bind(SHARD).fetch_one(&ledger.database));
    let behind: i64 = with_timeout(query_name, TIMEOUT, behind).await?;
    ledger.metrics.rollup_behind.set(behind);
    // Without new entries, nothing is written.
    if behind == 0 {
        return Ok(false);
    }
    let now_ms = ledger.clock.now_ms();
    let batch = async |connection: &mut PgConnection| {
        Ok(awards::add_batch(connection, now_ms).await? >= awards::BATCH)
    };
    add("roll_up_awards", ledger, batch).await
}

/// Adds users and sessions. Queries count those that are not added yet.
async fn add_rows(ledger: &Ledger) -> Result<bool, Fault> {
    let mut more =
        add("roll_up_users", ledger, async |connection| new_users::add_batch(connection).await).await?;
    let in_order_until_ms = ledger.store.now_us().await? / 1000 - IN_FLIGHT_MS;
    // Entries that cannot be written stay in the outbox. Everything before the oldest one is written.
    let written_to_ms = ledger
        .store
        .oldest_entry_ms()
        .await?
        .map_or(in_order_until_ms, |oldest_ms| oldest_ms.min(in_order_until_ms));
    let batch = async |connection: &mut PgConnection| sessions::add_batch(connection, written_to_ms).await;
    more |= add("roll_up_sessions", ledger, batch).await?;
    Ok(more)
}

/// Adds all pending entries of the ledger, before some of them are detached.
///
/// # Errors
/// Postgres is unavailable.
pub async fn add_pending_awards(ledger: &Ledger) -> Result<(), Fault> {
    let now_ms = ledger.clock.now_ms();
    while add("roll_up_awards", ledger, async |connection| {
        Ok(awards::add_batch(connection, now_ms).await? > 0)
    })
    .await?
    {}
    Ok(())
}

/// Runs one batch in a transaction that has locked `rollup_heads`.
async fn add(
    query_name: &'static str,
    ledger: &Ledger,
    batch: impl AsyncFnOnce(&mut PgConnection) -> Result<bool, sqlx::Error>,
) -> Result<bool, Fault> {
    let transaction = async {
        let mut transaction = begin(&ledger.database, "BEGIN").await?;
        let lock = "SELECT FROM rollup_heads WHERE shard = $1 FOR UPDATE";
        sqlx::query(lock).bind(SHARD).execute(&mut *transaction).await?;
        let more = batch(&mut transaction).await?;
        transaction.commit().await?;
        Ok(more)
    };
    with_timeout(query_name, TIMEOUT, timed(&ledger.metrics, query_name, transaction)).await
}
