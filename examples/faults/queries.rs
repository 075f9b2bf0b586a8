//! Queries to both stores, without Laurel's own code and without the proxies.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row as _};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A row of `score_history`.
#[derive(Clone, Debug)]
pub struct Row {
    pub event_id: Uuid,
    pub user_id: Uuid,
    pub points: i64,
    pub before: i64,
    pub after: i64,
    pub hlc_us: i64,
    pub seq: Option<i64>,
}

/// Connects to Postgres. None: it is unavailable.
pub async fn connect(port: u16) -> Option<PgConnection> {
    let url = format!("postgres://laurel@127.0.0.1:{port}/laurel?sslmode=disable");
    tokio::time::timeout(TIMEOUT, PgConnection::connect(&url)).await.ok()?.ok()
}

/// The events after this `seq` of the ledger. None: Postgres is unavailable.
pub async fn written_since(port: u16, seq: i64) -> Option<HashSet<Uuid>> {
    let mut connection = connect(port).await?;
    let ids = sqlx::query_scalar("SELECT event_id FROM score_history WHERE seq > $1").bind(seq);
    let ids: Vec<Uuid> = tokio::time::timeout(TIMEOUT, ids.fetch_all(&mut connection)).await.ok()?.ok()?;
    Some(ids.into_iter().collect())
}

/// The rows after this `seq` of the ledger.
pub async fn rows(connection: &mut PgConnection, seq: i64) -> Vec<Row> {
    let sql =
        "SELECT event_id, user_id, points_earned, score_before, score_after, hlc_us, seq FROM score_history
               WHERE seq > $1 ORDER BY hlc_us";
    let rows = sqlx::query(sql).bind(seq).fetch_all(connection).await.unwrap();
    let row = |row: &PgRow| Row {
        event_id: row.get("event_id"),
        user_id: row.get("user_id"),
        points: row.get("points_earned"),
        before: row.get("score_before"),
        after: row.get("score_after"),
        hlc_us: row.get("hlc_us"),
        seq: row.get("seq"),
    };
    rows.iter().map(row).collect()
}

/// Events that are in the ledger more than once, over all rounds.
pub async fn duplicates(connection: &mut PgConnection) -> Vec<Uuid> {
    let sql = "SELECT event_id FROM score_history GROUP BY event_id HAVING count(*) > 1";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

/// `users.score` of all users.
pub async fn totals(connection: &mut PgConnection) -> HashMap<Uuid, i64> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT id, score FROM users").fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}

/// Board and period of all open periods, and the last `seq` of the ledger.
pub async fn open_periods(connection: &mut PgConnection) -> Vec<(String, String, i64)> {
    let sql = "SELECT board, period, seq FROM board_periods, ledger_heads WHERE closed_at IS NULL";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

pub struct RedisConnection(MultiplexedConnection);

impl RedisConnection {
    pub async fn open(port: u16) -> Self {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let no_timeouts =
            redis::AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        Self(client.get_multiplexed_async_connection_with_config(&no_timeouts).await.unwrap())
    }

    /// Executes a command whose words are separated by spaces.
    pub async fn query<T: redis::FromRedisValue>(&mut self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.0).await.unwrap()
    }
}
