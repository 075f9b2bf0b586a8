//! The connection pool.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool, Postgres, Transaction};

use super::{connection, sql_fault};
use crate::config;
use crate::error::Fault;

/// Opens the pool. If Postgres becomes unreachable later, each request waits for it up to `acquire_timeout_ms`. Other nodes read
/// `application_name` in `pg_stat_activity`.
///
/// # Errors
/// The URL is invalid, Postgres does not answer, or a pooler in front of it does not keep sessions.
pub async fn connect(config: &config::Postgres, application_name: &str) -> Result<PgPool, Fault> {
    let options = PgConnectOptions::from_str(config.url.expose())
        .map_err(|error| Fault::new("read_postgres_url", error))?
        .application_name(application_name)
        // A pooler accepts few startup parameters, so everything else is set after the session has started.
        .extra_float_digits(None)
        // The metrics have the durations; a log line per statement would hide other lines.
        .disable_statement_logging();
    let timeout = Duration::from_millis(config.acquire_timeout_ms);
    connection::check(&options, timeout).await?;
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(timeout)
        .after_connect(|session, _| Box::pin(connection::set_up(session)))
        .connect_lazy_with(options))
}

/// Logs the Postgres that this node is connected to.
///
/// # Errors
/// Postgres is unreachable.
pub async fn log_server(database: &PgPool, config: &config::Postgres) -> Result<(), Fault> {
    let answer = sqlx::query_scalar("SHOW server_version").fetch_one(database).await;
    let version: String = answer.map_err(|error| sql_fault("read_server_version", error))?;
    tracing::info!(url = config.url.without_login(), version, "postgres connected");
    Ok(())
}

/// Begins a transaction in a task of its own, which runs to its end even if the caller is canceled: the client hangs up, or a timeout
/// expires. In sqlx 0.9 a canceled BEGIN returns its connection to the pool with the transaction open, and what others write there next
/// is never committed (transact-rs/sqlx#4393). The task instead drops the transaction, which rolls it back.
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
