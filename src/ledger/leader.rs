//! Leader election. Only the leader writes the ledger and opens boards. One node at a time holds a session-level advisory lock in Postgres
//! and does all its writes on that connection, so a node that lost the lock, perhaps without noticing, cannot write any more.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};

use crate::db::{ANSWER_TIMEOUT, sql_fault, timed, with_timeout};
use crate::error::Fault;
use crate::metrics::Metrics;

/// Key of the advisory lock: "laurel" in ASCII.
const LOCK: i64 = 0x6c61_7572_656c;
/// How long one attempt waits for the lock.
const TRY_MS: u64 = 1000;
/// A leader that sends no query for this long is paused, cut off, or has no Redis. Its connection is ended, so that another node can take
/// over.
const IDLE_S: f64 = 5.0;

/// The leader lock, held as long as its connection lives.
pub struct LeaderLock {
    connection: PgConnection,
}

impl LeaderLock {
    /// Waits for the lock. Ends the connection of a leader that is idle for too long.
    ///
    /// # Errors
    /// Postgres is unavailable.
    pub async fn take(database: &PgPool) -> Result<Self, Fault> {
        loop {
            if let Some(leader) = Self::try_take(database).await? {
                return Ok(leader);
            }
        }
    }

    /// Waits a second for the lock.
    ///
    /// # Errors
    /// Postgres is unavailable.
    pub async fn try_take(database: &PgPool) -> Result<Option<Self>, Fault> {
        let query_name = "take_leader_lock";
        let connection = database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
        let mut connection = connection.detach();
        if with_timeout(query_name, ANSWER_TIMEOUT, lock(&mut connection)).await? {
            return Ok(Some(Self { connection }));
        }
        let _ = connection.close().await;
        Ok(None)
    }

    /// Takes the lock from the current leader, for an admin's command. Nodes wait until it is released.
    ///
    /// # Errors
    /// Postgres is unavailable, or the lock is not granted within 30 s.
    pub async fn seize(database: &PgPool) -> Result<Self, Fault> {
        let query_name = "seize_leader_lock";
        let fault = |error| sql_fault(query_name, error);
        let mut connection = database.acquire().await.map_err(fault)?.detach();
        // A terminate query that is in flight when the lock is granted must not end our own connection.
        let own_pid: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.map_err(fault)?;
        let lock =
            async { sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await };
        // Postgres grants the lock in the order of requests, so at most every node gets it once before.
        let terminate = async {
            loop {
                tokio::time::sleep(TERMINATE_INTERVAL).await;
                let end = sqlx::AssertSqlSafe(format!("{TERMINATE_HOLDER} AND pid <> $2"));
                let ended = sqlx::query(end).bind(LOCK).bind(own_pid).execute(database).await;
                ended.map_err(fault)?;
            }
        };
        let seized = async {
            tokio::select! {
                locked = lock => locked.map(drop).map_err(fault),
                error = terminate => error,
            }
        };
        match tokio::time::timeout(SEIZE_TIMEOUT, seized).await {
            Ok(seized) => seized?,
            Err(_) => return Err(Fault::retryable(query_name, "another node keeps it")),
        }
        Ok(Self { connection })
    }

    /// The connection that holds the lock.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Sends a query, so that other nodes do not consider this leader idle.
    ///
    /// # Errors
    /// The lock is lost; another node may hold it.
    pub async fn beat(&mut self, metrics: &Metrics) -> Result<(), Fault> {
        let query_name = "check_leader_lock";
        let beat = timed(metrics, query_name, sqlx::query("SELECT 1").execute(&mut self.connection));
        with_timeout(query_name, ANSWER_TIMEOUT, beat).await.map(drop)
    }

    /// Releases the lock to the next node that waits for it. A crash does the same.
    pub async fn release(self) {
        let _ = self.connection.close().await;
    }
}

/// Between two attempts to end the current leader's connection, and the time limit for all of them.
const TERMINATE_INTERVAL: Duration = Duration::from_millis(200);
const SEIZE_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends the connection of the lock's holder. Conditions may follow.
const TERMINATE_HOLDER: &str = "
    SELECT pg_terminate_backend(pid)
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1
          AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// SQLSTATE after `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Returns whether the lock was granted in time.
async fn lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    terminate_idle_holder(connection).await?;
    let timeout = sqlx::AssertSqlSafe(format!("SET lock_timeout = {TRY_MS}"));
    sqlx::query(timeout).execute(&mut *connection).await?;
    match sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await {
        // The leader waits for row locks without a limit: a batch must not fail because another transaction holds a row.
        Ok(_) => sqlx::query("SET lock_timeout = 0").execute(connection).await.map(|_| true),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends the connection of an idle leader. Postgres rolls back what it had not committed.
async fn terminate_idle_holder(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_idle = "state <> 'active' AND state_change < now() - make_interval(secs => $2)";
    let end = sqlx::AssertSqlSafe(format!("{TERMINATE_HOLDER} AND {is_idle}"));
    let terminated = sqlx::query(end).bind(LOCK).bind(IDLE_S).execute(connection).await?;
    if terminated.rows_affected() > 0 {
        tracing::warn!(idle_seconds = IDLE_S, "idle ledger leader disconnected, another node takes over");
    }
    Ok(())
}
