//! What a call to Postgres costs and how it fails: errors as `Fault`, durations as metrics, and timeouts.

use std::time::Duration;

use crate::error::Fault;
use crate::metrics::Metrics;

/// SQLSTATEs, or their classes, of conditions that pass. 57: the server shuts down or starts; 53: out of resources; 58: disk errors; 08:
/// connection; 55: a lock timeout; 40: the transaction was chosen to roll back; 25P03: idle too long in a transaction. An operator can
/// change the others while nodes run: 28, the password; 42501, rights; 25006, a read-only server; 3D000, the database does not exist.
const PASSING: [&str; 11] = ["57", "53", "58", "08", "55", "40", "25P03", "28", "42501", "25006", "3D000"];

/// Maps an error of Postgres to a fault: retryable, or not.
pub fn sql_fault(query_name: &'static str, error: sqlx::Error) -> Fault {
    let retryable = match &error {
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    };
    match error {
        sqlx::Error::PoolTimedOut => {
            Fault::retryable(query_name, "no connection to Postgres within postgres.acquire_timeout_ms")
        }
        error if retryable => Fault::retryable(query_name, error),
        error => Fault::new(query_name, error),
    }
}

/// Timeout of a query on few rows. A connection that was cut without a TCP reset would otherwise be waited on forever.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Records how long a query takes, under the label `query_name`. A unique violation counts as an answer.
///
/// # Errors
/// As `query`.
pub async fn timed<T>(
    metrics: &Metrics,
    query_name: &'static str,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let call = metrics.postgres(query_name);
    let answer = query.await;
    let is_answer =
        |error: &sqlx::Error| error.as_database_error().is_some_and(|it| it.is_unique_violation());
    if answer.as_ref().map_or_else(is_answer, |_| true) {
        call.answered();
    }
    answer
}

/// Runs a query with a timeout.
///
/// # Errors
/// Postgres does not answer in time, or answers with an error.
pub async fn with_timeout<T>(
    query_name: &'static str,
    timeout: Duration,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(timeout, query).await {
        Ok(answer) => answer.map_err(|error| sql_fault(query_name, error)),
        Err(_) => Err(Fault::retryable(query_name, "no answer in time")),
    }
}
