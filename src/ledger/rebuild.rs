//! Redis from the ledger: for an empty Redis at the start, and for `laurel rebuild`. The board is closed meanwhile, so that
//! no award is made on a total that is not there yet; reads and sockets go on with what they have.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::{PgPool, Row};

use super::best::{best, missing};
use super::consume::drain;
use super::limits::load_limits;
use super::sql_fault;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Mended, Standing};

/// How long an operator waits for the ledger to say who is missing.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Totals a round trip.
const LOAD_BATCH: usize = 5000;
/// The lock under which a board is rebuilt: nodes that start together wait for the first.
const REBUILD_LOCK: i64 = 0x6c61_7572_656d;

/// Opens the board for awards; rebuilds it first if Redis does not hold it.
///
/// # Errors
/// A store is away.
pub async fn open_or_rebuild(app: &App) -> Result<(), Fault> {
    let lock = Lock::take(&app.database).await?;
    if !app.store.glance().await?.open {
        // A rebuild that was cut short may have left entries that the totals still lack.
        drain(app).await?;
        let users = load(app, |_| ()).await?;
        tracing::info!(users, "Redis did not hold the board; it was loaded from the ledger");
    }
    lock.release().await
}

/// Looks once a second, and loads the board again if Redis lost it while nodes serve: without an epoch no award is taken. Where
/// somebody is missing among the ten, the ledger says who, as soon as it has their newest award.
pub async fn keep_open_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Ok(look) = app.store.glance().await else { continue };
        let tried = match (look.open, look.whole) {
            (false, _) => open_or_rebuild(&app).await,
            (true, false) => complete(&app).await.map(drop),
            (true, true) => Ok(()),
        };
        if let Err(fault) = tried {
            tracing::warn!(%fault, "the board is not as it should be; trying again in a second");
        }
    }
}

/// Rebuilds the board while nodes serve. `progress` hears how many users are loaded. Returns their number.
///
/// # Errors
/// A store is away; the board stays closed, and the next rebuild goes on.
pub async fn rebuild(app: &App, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let lock = Lock::take(&app.database).await?;
    let was_open = app.store.close_board().await?;
    if let Err(fault) = drain(app).await {
        // Nothing was changed yet: a board that was open is as good as before.
        if was_open {
            app.store.open_board().await?;
        }
        return Err(fault);
    }
    let users = load(app, progress).await?;
    lock.release().await?;
    Ok(users)
}

async fn load(app: &App, progress: impl Fn(u64)) -> Result<u64, Fault> {
    app.store.empty_board().await?;
    let mut loaded = 0;
    let mut batch: Vec<Standing> = Vec::with_capacity(LOAD_BATCH);
    let mut rows = sqlx::query(STANDINGS).fetch(&app.database);
    loop {
        let row = rows.try_next().await.map_err(|error| sql_fault("read totals", error))?;
        let end = row.is_none();
        if let Some(row) = row {
            batch.push(Standing {
                user: row.get("id"),
                total: row.get::<i64, _>("score") as u64,
                held: row.get::<i64, _>("held") as u64,
                banned: row.get("banned"),
                aside: row.get("aside"),
            });
        }
        if batch.len() == LOAD_BATCH || (end && !batch.is_empty()) {
            app.store.load_totals(&batch).await?;
            loaded += batch.len() as u64;
            progress(loaded);
            batch.clear();
        }
        if end {
            break;
        }
    }
    drop(rows);
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(moment) FROM score_history")
        .fetch_one(&app.database)
        .await
        .map_err(|error| sql_fault("read the newest moment", error))?;
    app.store.lift_moment(newest.unwrap_or(0)).await?;
    load_limits(app).await?;
    let mended = app.store.mend(&best(&app.database).await?, app.config.live.min_interval_ms).await?;
    app.store.open_board().await?;
    show(app, mended).await?;
    Ok(loaded)
}

/// Looks for whoever is missing among the ten. Returns whether anybody still is not.
async fn complete(app: &App) -> Result<bool, Fault> {
    let candidates = missing(app).await?;
    let mended = app.store.mend(&candidates, app.config.live.min_interval_ms).await?;
    show(app, mended).await?;
    Ok(mended.whole)
}

/// Publishes a board that was held back, and waits a moment for the ledger if somebody is missing among the ten. What takes longer
/// is left to `keep_open_forever`.
///
/// # Errors
/// A store is away; the next look finds the board.
pub async fn finish(app: &App, mended: Mended) -> Result<(), Fault> {
    show(app, mended).await?;
    let mut whole = mended.whole;
    for _ in 0..TRIES {
        if whole {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        whole = complete(app).await?;
    }
    Ok(())
}

async fn show(app: &App, mended: Mended) -> Result<(), Fault> {
    let mut due_ms = mended.flush_due_ms;
    while due_ms > 0 {
        tokio::time::sleep(Duration::from_millis(due_ms)).await;
        due_ms = app.store.flush(app.config.live.min_interval_ms).await?;
    }
    Ok(())
}

/// What Redis has to hold of each user.
const STANDINGS: &str = "
    SELECT id, score, banned_at IS NOT NULL AS banned, aside_at IS NOT NULL AS aside, CASE WHEN aside_at IS NULL THEN 0
           ELSE (SELECT coalesce(sum(points_earned), 0) FROM score_history WHERE user_id = users.id AND held)::bigint END AS held
    FROM users WHERE score > 0 OR banned_at IS NOT NULL OR aside_at IS NOT NULL";

/// A session's advisory lock, on a connection of its own.
struct Lock(sqlx::PgConnection);

impl Lock {
    async fn take(database: &PgPool) -> Result<Self, Fault> {
        let doing = "take the rebuild lock";
        let connection = database.acquire().await.map_err(|error| sql_fault(doing, error))?;
        let mut connection = connection.detach();
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(REBUILD_LOCK)
            .execute(&mut connection)
            .await
            .map_err(|error| sql_fault(doing, error))?;
        Ok(Self(connection))
    }

    /// Closing the connection gives the lock back; so does a crash.
    async fn release(self) -> Result<(), Fault> {
        sqlx::Connection::close(self.0).await.map_err(|error| sql_fault("give the rebuild lock back", error))
    }
}
