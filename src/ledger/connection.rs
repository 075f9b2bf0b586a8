//! A connection to Postgres: what is set in its session, and whether this Postgres can be used at all. Behind a pooler in session mode all is
//! as without one; a pooler that gives each transaction another session would lose the ledger leader's lock, and is refused.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use crate::error::Fault;
use crate::ledger::database::{HANGS_AFTER, in_time};

/// How long a session may keep a transaction open in which it asks nothing. A node whose host vanished in the middle of a batch must not
/// hold the ledger's lock for hours.
const IDLE: &str = "10s";

/// Set by statements, since a pooler does not pass on what a session is started with. Behind one, the lines about TCP are about its own
/// connections to Postgres.
const SETTINGS: &str = "
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 20000;
    SET idle_in_transaction_session_timeout = ";

/// Sets up a session, and looks whether that holds.
///
/// # Errors
/// Postgres, or a pooler before it, does not take the settings.
pub async fn set_up(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    let settings = sqlx::AssertSqlSafe(format!("{SETTINGS}'{IDLE}'"));
    sqlx::raw_sql(settings).execute(&mut *session).await?;
    let idle: String = ask(session, "SHOW idle_in_transaction_session_timeout").await?;
    if idle == IDLE {
        return Ok(());
    }
    let told = format!("a session has idle_in_transaction_session_timeout {idle} after it was set to {IDLE}");
    Err(sqlx::Error::Configuration(told.into()))
}

/// One value, by the simple protocol: a pooler that shares sessions does not know the prepared statements of one.
async fn ask<T>(session: &mut PgConnection, question: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::raw_sql(question).fetch_one(session).await?.try_get(0)
}

/// Connects and sets up a session, as the pool will do it.
///
/// # Errors
/// One line: where Postgres should be, why it cannot be used, and what to do.
pub async fn check(options: &PgConnectOptions, timeout: Duration) -> Result<(), Fault> {
    let doing = "connect_to_postgres";
    let place = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let unusable = |error: sqlx::Error| {
        let words = match &error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            sqlx::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        Fault::retryable(doing, format!("{place}: {words}; {}", advice(&error)))
    };
    let mut session = first(options, timeout).await.map_err(unusable)?;
    set_up(&mut session).await.map_err(unusable)?;
    if !in_time(doing, HANGS_AFTER, is_kept(&mut session, options)).await? {
        let told = "a pooler there gives each transaction another session; set its pool_mode to session";
        return Err(Fault::new(doing, format!("{place}: {told}")));
    }
    let _ = session.close().await;
    Ok(())
}

/// Waits for a server that is starting, at most so long.
async fn first(options: &PgConnectOptions, timeout: Duration) -> Result<PgConnection, sqlx::Error> {
    let mut refused = None;
    let connected = tokio::time::timeout(timeout, async {
        loop {
            match options.connect().await {
                Err(error) if is_starting(&error) => refused = Some(error),
                connected => return connected,
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    let connected = connected.await;
    let silent = || sqlx::Error::Io(std::io::Error::new(ErrorKind::TimedOut, "no answer in time"));
    connected.unwrap_or_else(|_| Err(refused.unwrap_or_else(silent)))
}

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
        // Cannot connect now; too many connections.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}

/// Whether a session stays the same while another one is in a transaction. A pooler that shares sessions gives the one that was used
/// last to the next who asks.
async fn is_kept(session: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let process = "SELECT pg_backend_pid()";
    let before: i32 = ask(session, process).await?;
    let mut other = options.connect().await?;
    sqlx::raw_sql("BEGIN").execute(&mut other).await?;
    let after: i32 = ask(session, process).await?;
    let _ = other.close().await;
    Ok(before == after)
}

fn advice(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|it| it.code());
    match code.as_deref() {
        Some("28P01") => "set the user and the password in DATABASE_URL to the server's",
        Some("28000") => "let this user in there (pg_hba.conf), or correct DATABASE_URL",
        Some("3D000") => "create that database, or correct DATABASE_URL",
        _ => "is Postgres running there, and is DATABASE_URL right?",
    }
}
