//! Both stores as they are, past Laurel's own code and past the proxies.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row as _};
use uuid::Uuid;

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

/// A connection to Postgres; none if it is away.
pub async fn connect(port: u16) -> Option<PgConnection> {
    let url = format!("postgres://laurel@127.0.0.1:{port}/laurel?sslmode=disable");
    tokio::time::timeout(Duration::from_secs(10), PgConnection::connect(&url)).await.ok()?.ok()
}

/// The events after a place in the ledger; none if Postgres is away.
pub async fn written_since(port: u16, seq: i64) -> Option<HashSet<Uuid>> {
    let mut connection = connect(port).await?;
    let ids = sqlx::query_scalar("SELECT event_id FROM score_history WHERE seq > $1").bind(seq);
    let ids: Vec<Uuid> =
        tokio::time::timeout(Duration::from_secs(10), ids.fetch_all(&mut connection)).await.ok()?.ok()?;
    Some(ids.into_iter().collect())
}

/// The rows after a place in the ledger, and those without one.
pub async fn rows(connection: &mut PgConnection, seq: i64) -> Vec<Row> {
    let sql =
        "SELECT event_id, user_id, points_earned, score_before, score_after, hlc_us, seq FROM score_history
               WHERE seq > $1 ORDER BY hlc_us";
    let rows = sqlx::query(sql).bind(seq).fetch_all(connection).await.unwrap();
    let row = |it: &PgRow| Row {
        event_id: it.get("event_id"),
        user_id: it.get("user_id"),
        points: it.get("points_earned"),
        before: it.get("score_before"),
        after: it.get("score_after"),
        hlc_us: it.get("hlc_us"),
        seq: it.get("seq"),
    };
    rows.iter().map(row).collect()
}

/// Events that are there more than once, over all rounds.
pub async fn doubles(connection: &mut PgConnection) -> Vec<Uuid> {
    let sql = "SELECT event_id FROM score_history GROUP BY event_id HAVING count(*) > 1";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

/// `users.score` of everybody.
pub async fn totals(connection: &mut PgConnection) -> HashMap<Uuid, i64> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT id, score FROM users").fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}

/// Redis, asked directly.
pub struct Look(MultiplexedConnection);

impl Look {
    pub async fn new(port: u16) -> Self {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let patient =
            redis::AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        Self(client.get_multiplexed_async_connection_with_config(&patient).await.unwrap())
    }

    /// One command, its words parted by blanks.
    pub async fn ask<T: redis::FromRedisValue>(&mut self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        for word in words {
            asked.arg(word);
        }
        asked.query_async(&mut self.0).await.unwrap()
    }
}
