//! Postgres' tables: what they take, and what in them is dead.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

pub struct Table {
    pub name: String,
    /// With its indexes.
    pub bytes: i64,
    pub live: i64,
    pub dead: i64,
    /// Times that it was vacuumed by itself.
    pub vacuums: i64,
}

/// Those that are larger than nothing, by name.
pub async fn look(database: &mut PgConnection) -> Vec<Table> {
    // What this connection has seen of the statistics before is not what they are.
    sqlx::raw_sql("SELECT pg_stat_clear_snapshot()").execute(&mut *database).await.unwrap();
    let rows = sqlx::query(
        "SELECT relname::text AS name, pg_total_relation_size(relid) AS bytes, n_live_tup AS live, n_dead_tup AS dead,
                autovacuum_count AS vacuums
         FROM pg_stat_user_tables WHERE n_live_tup + n_dead_tup > 0 ORDER BY relname",
    )
    .fetch_all(database)
    .await
    .unwrap();
    let table = |it: &PgRow| Table {
        name: it.get("name"),
        bytes: it.get("bytes"),
        live: it.get("live"),
        dead: it.get("dead"),
        vacuums: it.get("vacuums"),
    };
    rows.iter().map(table).collect()
}
