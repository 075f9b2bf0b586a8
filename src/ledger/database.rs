//! The connections to Postgres.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool, Postgres, Transaction};

use crate::app::App;
use crate::config;
use crate::error::Fault;
use crate::ledger::connection;
use crate::ledger::migrate::application_name;
use crate::metrics::Metrics;

/// Opens the pool. A Postgres that is away later is waited for by each request, up to `acquire_timeout_ms`.
///
/// # Errors
/// A URL that is none, a Postgres that does not answer, or a pooler before it that does not keep sessions.
pub async fn connect(config: &config::Postgres) -> Result<PgPool, Fault> {
    let options = PgConnectOptions::from_str(config.url.expose())
        .map_err(|error| Fault::new("read_postgres_url", error))?
        .application_name(&application_name())
        // What a pooler takes when a session starts is little, so all else is set once it has started.
        .extra_float_digits(None)
        // The metrics have the times; a log of SQL would be noise beside them.
        .disable_statement_logging();
    let timeout = Duration::from_millis(config.acquire_timeout_ms);
    connection::check(&options, timeout).await?;
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(timeout)
        .after_connect(|session, _| Box::pin(connection::set_up(session)))
        .connect_lazy_with(options))
}

/// Logs which Postgres a node is connected to.
///
/// # Errors
/// It is away.
pub async fn log_server(database: &PgPool, config: &config::Postgres) -> Result<(), Fault> {
    let asked = sqlx::query_scalar("SHOW server_version").fetch_one(database).await;
    let version: String = asked.map_err(|error| sql_fault("read_server_version", error))?;
    tracing::info!(url = config.url.without_login(), version, "postgres connected");
    Ok(())
}

/// Begins a transaction, also if whoever asks is gone before it has begun: a client hangs up, a time-out strikes. In sqlx 0.9 a BEGIN
/// that is given up leaves its connection in the pool with the transaction open, and what others write there next is never
/// committed (transact-rs/sqlx#4393). So a task of its own goes on to its end, where dropping the transaction rolls it back.
///
/// # Errors
/// As `PgPool::begin_with`.
pub async fn begin(
    database: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let database = database.clone();
    let begun = tokio::spawn(async move { database.begin_with(statement).await }).await;
    begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// SQLSTATEs, or their classes, of what passes. 57: the server is shutting down or starting; 53: out of resources; 58: its disk; 08:
/// connection; 55: a lock did not come in time; 40: the transaction was chosen to give way; 25P03: it was idle for too long. What an
/// operator may change while nodes run: 28, the password; 42501, rights; 25006, a server that only reads; 3D000, the database is not there.
const PASSING: [&str; 11] = ["57", "53", "58", "08", "55", "40", "25P03", "28", "42501", "25006", "3D000"];

/// Sorts what Postgres says: away (try again), or wrong.
pub fn sql_fault(doing: &'static str, error: sqlx::Error) -> Fault {
    let away = match &error {
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| PASSING.iter().any(|it| code.starts_with(it)))
        }
        _ => false,
    };
    match error {
        sqlx::Error::PoolTimedOut => {
            Fault::retryable(doing, "no connection to Postgres within postgres.acquire_timeout_ms")
        }
        error if away => Fault::retryable(doing, error),
        error => Fault::new(doing, error),
    }
}

/// A small question that takes longer is not answered any more: its connection was cut off without a word, and would be waited
/// on for ever.
pub const HANGS_AFTER: Duration = Duration::from_secs(5);

/// Notes how long an answer takes, under what is done. That a row is there already is an answer.
///
/// # Errors
/// As `asked`.
pub async fn timed<T>(
    metrics: &Metrics,
    doing: &'static str,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let call = metrics.postgres(doing);
    let answer = asked.await;
    let known = |error: &sqlx::Error| error.as_database_error().is_some_and(|it| it.is_unique_violation());
    if answer.as_ref().map_or_else(known, |_| true) {
        call.answered();
    }
    answer
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// Postgres is away, or says something else than what was asked for.
pub async fn in_time<T>(
    doing: &'static str,
    most: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(most, asked).await {
        Ok(answer) => answer.map_err(|error| sql_fault(doing, error)),
        Err(_) => Err(Fault::retryable(doing, "no answer in time")),
    }
}

/// Looks once a second whether Postgres answers.
pub async fn watch_forever(app: Arc<App>) {
    loop {
        let doing = "ping_postgres";
        let asked = timed(&app.metrics, doing, sqlx::query("SELECT 1").execute(&app.database));
        app.health.set_postgres(in_time(doing, HANGS_AFTER, asked).await.is_ok());
        let (size, idle) = (app.database.size() as usize, app.database.num_idle());
        app.metrics.pools(app.store.pool_use(), (size.saturating_sub(idle), size));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
