//! Session settings, and the check at start that this Postgres can be used. A pooler in session mode works like a direct connection. A
//! pooler in transaction mode is refused: the ledger leader would lose its lock.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::{ANSWER_TIMEOUT, with_timeout};
use crate::error::Fault;

/// How long a transaction may be idle. A node whose host vanished in the middle of a batch must not hold the ledger's lock for hours.
const IDLE: &str = "10s";

/// Set by statements, because a pooler does not pass on startup parameters. Behind one, the TCP settings apply to its own connections to
/// Postgres.
const SETTINGS: &str = "
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 20000;
    SET idle_in_transaction_session_timeout = ";

/// Applies the settings to a session and reads one back.
///
/// # Errors
/// Postgres, or a pooler in front of it, rejects or ignores the settings.
pub async fn set_up(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    let settings = sqlx::AssertSqlSafe(format!("{SETTINGS}'{IDLE}'"));
    sqlx::raw_sql(settings).execute(&mut *session).await?;
    let idle: String = read_value(session, "SHOW idle_in_transaction_session_timeout").await?;
    if idle == IDLE {
        return Ok(());
    }
    let problem =
        format!("a session has idle_in_transaction_session_timeout {idle} after it was set to {IDLE}");
    Err(sqlx::Error::Configuration(problem.into()))
}

/// Reads one value with the simple protocol, because prepared statements fail behind a pooler that shares sessions.
async fn read_value<T>(session: &mut PgConnection, sql: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::raw_sql(sql).fetch_one(session).await?.try_get(0)
}

/// Connects and sets up a session as the pool will.
///
/// # Errors
/// One line: the address, why Postgres cannot be used, and what to do.
pub async fn check(options: &PgConnectOptions, timeout: Duration) -> Result<(), Fault> {
    let operation = "connect_to_postgres";
    let place = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let unusable = |error: sqlx::Error| {
        let reason = match &error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            sqlx::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        Fault::retryable(operation, format!("{place}: {reason}; {}", advice(&error)))
    };
    let mut session = connect(options, timeout).await.map_err(unusable)?;
    set_up(&mut session).await.map_err(unusable)?;
    if !with_timeout(operation, ANSWER_TIMEOUT, has_own_session(&mut session, options)).await? {
        let problem = "a pooler there gives each transaction another session; set its pool_mode to session";
        return Err(Fault::new(operation, format!("{place}: {problem}")));
    }
    let _ = session.close().await;
    Ok(())
}

/// Connects. Waits at most `timeout` for a server that is starting.
async fn connect(options: &PgConnectOptions, timeout: Duration) -> Result<PgConnection, sqlx::Error> {
    let mut refused = None;
    let connected = tokio::time::timeout(timeout, async {
        loop {
            match options.connect().await {
                Err(error) if is_starting(&error) => refused = Some(error),
                connected => return connected,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    });
    let connected = connected.await;
    let no_answer = || sqlx::Error::Io(std::io::Error::new(ErrorKind::TimedOut, "no answer in time"));
    connected.unwrap_or_else(|_| Err(refused.unwrap_or_else(no_answer)))
}

/// Pause between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
        // Cannot connect now; too many connections.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}

/// Whether a connection has the same session while another one is in a transaction. A pooler that shares sessions gives the session that
/// was used last to the next statement.
async fn has_own_session(
    session: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<bool, sqlx::Error> {
    let process = "SELECT pg_backend_pid()";
    let before: i32 = read_value(session, process).await?;
    let mut other = options.connect().await?;
    sqlx::raw_sql("BEGIN").execute(&mut other).await?;
    let after: i32 = read_value(session, process).await?;
    let _ = other.close().await;
    Ok(before == after)
}

fn advice(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("28P01") => "set the user and the password in DATABASE_URL to the server's",
        Some("28000") => "let this user in there (pg_hba.conf), or correct DATABASE_URL",
        Some("3D000") => "create that database, or correct DATABASE_URL",
        _ => "is Postgres running there, and is DATABASE_URL right?",
    }
}
