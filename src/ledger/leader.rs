//! The lead: the right to write the ledger, and to open a board that was compared with it. Over all nodes one holds it at a
//! time, by a lock of a connection to Postgres; all that the holder writes goes through that connection. So who lost the lead,
//! without knowing perhaps, cannot write any more.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};

use super::database::{HANGS_AFTER, in_time, timed};
use super::sql_fault;
use crate::error::Fault;
use crate::metrics::Metrics;

/// The lock; older versions of Laurel hold it while they write.
const LOCK: i64 = 0x6c61_7572_656c;
/// How long one try waits for the lock.
const TRY_MS: u64 = 1000;
/// A holder that asks nothing for so long is paused, cut off, or without Redis: somebody else may have more luck.
const IDLE_S: f64 = 5.0;

/// The lead, as long as its connection lives.
pub struct LeaderLock {
    connection: PgConnection,
}

impl LeaderLock {
    /// Waits for the lead. A holder that asks nothing any more is ended.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn take(database: &PgPool) -> Result<Self, Fault> {
        loop {
            if let Some(leader) = Self::try_take(database).await? {
                return Ok(leader);
            }
        }
    }

    /// Waits a second for the lead.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn try_take(database: &PgPool) -> Result<Option<Self>, Fault> {
        let doing = "take the ledger's lead";
        let connection = database.acquire().await.map_err(|error| sql_fault(doing, error))?;
        let mut connection = connection.detach();
        if in_time(doing, HANGS_AFTER, lock(&mut connection)).await? {
            return Ok(Some(Self { connection }));
        }
        let _ = connection.close().await;
        Ok(None)
    }

    /// Takes the lead from whoever has it, for an operator's command: nodes do without it meanwhile.
    ///
    /// # Errors
    /// Postgres is away, or the lead does not come in half a minute.
    pub async fn seize(database: &PgPool) -> Result<Self, Fault> {
        let doing = "seize the ledger's lead";
        let fault = |error| sql_fault(doing, error);
        let mut connection = database.acquire().await.map_err(fault)?.detach();
        // A question that is under way when the lock comes must not end its new holder.
        let us: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.map_err(fault)?;
        let taken =
            async { sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await };
        // Whoever waits longest is next, so it takes no longer than there are nodes.
        let dismissed = async {
            loop {
                tokio::time::sleep(SEIZE_EVERY).await;
                let end = sqlx::AssertSqlSafe(format!("{END_HOLDER} AND pid <> $2"));
                let ended = sqlx::query(end).bind(LOCK).bind(us).execute(database).await;
                ended.map_err(fault)?;
            }
        };
        let seized = async {
            tokio::select! {
                taken = taken => taken.map(drop).map_err(fault),
                never = dismissed => never,
            }
        };
        match tokio::time::timeout(SEIZE_WITHIN, seized).await {
            Ok(seized) => seized?,
            Err(_) => return Err(Fault::retryable(doing, "somebody else keeps it")),
        }
        Ok(Self { connection })
    }

    /// The connection that holds the lead.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Shows the others a sign of life.
    ///
    /// # Errors
    /// The lead is lost: somebody else may have it.
    pub async fn beat(&mut self, metrics: &Metrics) -> Result<(), Fault> {
        let doing = "keep the ledger's lead";
        let beat = timed(metrics, doing, sqlx::query("SELECT 1").execute(&mut self.connection));
        in_time(doing, HANGS_AFTER, beat).await.map(drop)
    }

    /// Gives it to whoever waits. So does a crash.
    pub async fn release(self) {
        let _ = self.connection.close().await;
    }
}

/// Between two tries to end whoever has the lead; and how long all of them may take.
const SEIZE_EVERY: Duration = Duration::from_millis(200);
const SEIZE_WITHIN: Duration = Duration::from_secs(30);

/// Ends whoever has the lock, of whom something else may be asked.
const END_HOLDER: &str = "
    SELECT pg_terminate_backend(pid)
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1
          AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// SQLSTATE of a lock that did not come in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Returns whether the lock came in time.
async fn lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    dismiss_idle_holder(connection).await?;
    let patience = sqlx::AssertSqlSafe(format!("SET lock_timeout = {TRY_MS}"));
    sqlx::query(patience).execute(&mut *connection).await?;
    match sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await {
        // Whoever leads waits for rows as long as it takes: a batch must not fail because somebody else holds one.
        Ok(_) => sqlx::query("SET lock_timeout = 0").execute(connection).await.map(|_| true),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends the connection of a holder that asks nothing any more; what it had not committed is undone.
async fn dismiss_idle_holder(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_idle = "state <> 'active' AND state_change < now() - make_interval(secs => $2)";
    let end = sqlx::AssertSqlSafe(format!("{END_HOLDER} AND {is_idle}"));
    let dismissed = sqlx::query(end).bind(LOCK).bind(IDLE_S).execute(connection).await?;
    if dismissed.rows_affected() > 0 {
        tracing::warn!("whoever had the ledger's lead asked nothing for {IDLE_S} s; it goes to the next");
    }
    Ok(())
}
