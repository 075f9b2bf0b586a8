//! Redis from the ledger: for an empty Redis at the start, and for `laurel rebuild`. The board is closed meanwhile, so that
//! no award is made on a total that is not there yet; reads and sockets go on with what they have.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::consume::drain;
use super::sql_fault;
use crate::app::App;
use crate::error::Fault;

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
    if !app.store.look(i64::MAX).await?.open {
        // A rebuild that was cut short may have left entries that the totals still lack.
        drain(app).await?;
        let users = load(app, |_| ()).await?;
        tracing::info!(users, "Redis did not hold the board; it was loaded from the ledger");
    }
    lock.release().await
}

/// Looks once a second, and loads the board again if Redis lost it while nodes serve: without an epoch no award is taken.
pub async fn keep_open_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let closed = app.store.look(i64::MAX).await.is_ok_and(|it| !it.open);
        if closed && let Err(fault) = open_or_rebuild(&app).await {
            tracing::warn!(%fault, "the board stays closed; trying again in a second");
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
    let mut batch: Vec<(Uuid, u64)> = Vec::with_capacity(LOAD_BATCH);
    let mut rows = sqlx::query("SELECT id, score FROM users WHERE score > 0").fetch(&app.database);
    loop {
        let row = rows.try_next().await.map_err(|error| sql_fault("read totals", error))?;
        let end = row.is_none();
        if let Some(row) = row {
            batch.push((row.get("id"), row.get::<i64, _>("score") as u64));
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
    let due_ms = app.store.mend(&best(&app.database).await?, app.config.live.min_interval_ms).await?;
    app.store.open_board().await?;
    if due_ms > 0 {
        tokio::time::sleep(Duration::from_millis(due_ms)).await;
        app.store.flush(app.config.live.min_interval_ms).await?;
    }
    Ok(loaded)
}

/// The ledger's ten, as `mend` takes them: by score, then by who reached it first.
pub async fn best(database: &PgPool) -> Result<Vec<String>, Fault> {
    let rows = sqlx::query(
        "SELECT format('%s %s %s %s %s', u.score, h.moment, u.id, u.number, u.username) AS entry
         FROM users u
         CROSS JOIN LATERAL (SELECT moment FROM score_history WHERE user_id = u.id ORDER BY moment DESC LIMIT 1) h
         WHERE u.score >= greatest(1, (SELECT min(score) FROM (SELECT score FROM users ORDER BY score DESC LIMIT 10) t))
         ORDER BY u.score DESC, h.moment
         LIMIT 10",
    )
    .fetch_all(database)
    .await
    .map_err(|error| sql_fault("read the ten best", error))?;
    Ok(rows.iter().map(|row| row.get("entry")).collect())
}

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
