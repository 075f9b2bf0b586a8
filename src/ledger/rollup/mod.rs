//! What operators look at, summed up from the other tables: see migrations/README.md. The leader adds what is new, in batches; each is
//! a transaction that locks how far the sums have come, so whoever else adds waits, and goes on behind it. It is not part of the
//! ledger's own transactions: many awards of one user are one write here, and the busier it is, the longer they gather.

mod awards;
mod best;
mod period;
mod sessions;
mod tally;
mod users;

pub use period::{HOUR_MS, Period};
pub use sessions::{SESSION_CLASSES, UNCOUNTED_SESSIONS};

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::chain::SHARD;
use super::database::{begin, in_time, timed};
use crate::app::App;
use crate::error::Fault;

/// While there is much to catch up with, at most every other moment is spent on it.
const CATCHING_UP: u32 = 1;
/// Otherwise it rests so many times as long as it took, within these bounds: so it takes a twentieth of one core at most, and whoever
/// looks at a quiet service sees the last second.
const RESTS: u32 = 20;
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often users and sessions are added.
const ROWS_EVERY: Duration = Duration::from_secs(60);
/// A batch that takes longer is not answered any more: its connection was cut off without a word.
const HANGS_AFTER: Duration = Duration::from_secs(60);
/// Of what happened less than so long ago some may be on its way to Postgres.
const ON_ITS_WAY_MS: i64 = 10_000;

/// Adds up for as long as the node runs, while it has the ledger's lead.
pub async fn roll_up_forever(app: Arc<App>) {
    let (mut rest, mut rows_added) = (REST.0, None::<Instant>);
    loop {
        tokio::time::sleep(rest).await;
        rest = REST.0;
        if !app.health.is_leader() {
            continue;
        }
        let started = Instant::now();
        let rows_are_due = rows_added.is_none_or(|it| it.elapsed() > ROWS_EVERY);
        match roll_up(&app, rows_are_due).await {
            Ok(true) => rest = started.elapsed() * CATCHING_UP,
            Ok(false) => {
                rest = (started.elapsed() * RESTS).clamp(REST.0, REST.1);
                rows_added = if rows_are_due { Some(started) } else { rows_added };
            }
            Err(fault) if fault.retryable => tracing::debug!(%fault, "the sums for operators wait"),
            Err(fault) => tracing::error!(%fault, "the sums for operators stand still"),
        }
    }
}

/// Adds a batch of awards, and of users and sessions if they are due. Returns whether there is another one already.
///
/// # Errors
/// A store is away; the next try goes on.
pub async fn roll_up(app: &App, rows_are_due: bool) -> Result<bool, Fault> {
    let more = add_awards(app).await?;
    Ok(if rows_are_due { add_rows(app).await? | more } else { more })
}

/// Returns whether there is another whole batch: what is less gathers for a while.
async fn add_awards(app: &App) -> Result<bool, Fault> {
    let doing = "look how far the sums have come";
    let behind = sqlx::query_scalar(
        "SELECT l.seq - r.seq FROM rollup_heads r JOIN ledger_heads l USING (shard) WHERE shard = $1",
    );
    let behind = timed(&app.metrics, doing, behind.bind(SHARD).fetch_one(&app.database));
    let behind: i64 = in_time(doing, HANGS_AFTER, behind).await?;
    app.metrics.rollup_behind.set(behind);
    // A quiet service should not write anything.
    if behind == 0 {
        return Ok(false);
    }
    let now_ms = app.clock.now_ms();
    let batch = async |it: &mut PgConnection| Ok(awards::add_batch(it, now_ms).await? >= awards::BATCH);
    add("sum up the ledger", app, batch).await
}

/// Users and sessions; what is not added yet is counted by whoever asks.
async fn add_rows(app: &App) -> Result<bool, Fault> {
    let mut more = add("sum up users", app, async |it| users::add_batch(it).await).await?;
    let settled_ms = app.store.now_us().await? / 1000 - ON_ITS_WAY_MS;
    // What cannot be written stays in the outbox, and what came before it is written all the same.
    let written_to_ms =
        app.store.oldest_entry_ms().await?.map_or(settled_ms, |oldest_ms| oldest_ms.min(settled_ms));
    let batch = async |it: &mut PgConnection| sessions::add_batch(it, written_to_ms).await;
    more |= add("sum up sessions", app, batch).await?;
    Ok(more)
}

/// Adds all entries that the ledger has, before some of them are detached.
///
/// # Errors
/// Postgres is away.
pub async fn add_all_awards(app: &App) -> Result<(), Fault> {
    let now_ms = app.clock.now_ms();
    while add("sum up the ledger", app, async |it| Ok(awards::add_batch(it, now_ms).await? > 0)).await? {}
    Ok(())
}

/// One batch, in a transaction that has locked how far the sums have come.
async fn add(
    doing: &'static str,
    app: &App,
    batch: impl AsyncFnOnce(&mut PgConnection) -> Result<bool, sqlx::Error>,
) -> Result<bool, Fault> {
    let whole = async {
        let mut transaction = begin(&app.database, "BEGIN").await?;
        let lock = "SELECT FROM rollup_heads WHERE shard = $1 FOR UPDATE";
        sqlx::query(lock).bind(SHARD).execute(&mut *transaction).await?;
        let more = batch(&mut transaction).await?;
        transaction.commit().await?;
        Ok(more)
    };
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, whole)).await
}
