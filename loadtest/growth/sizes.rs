//! What the stores take.

use sqlx::{AssertSqlSafe, PgConnection};

use super::population::Population;

/// In bytes: a row with its part of the indexes.
pub struct Sizes {
    /// A player's, and what is summed up of one for operators.
    pub user: f64,
    pub sums: f64,
    /// An entry of the ledger, and an attempt: an award has one of each.
    pub entry: f64,
    pub attempt: f64,
}

impl Sizes {
    pub async fn of(population: &Population) -> Self {
        let mut database = population.database().await;
        Self {
            user: by_row(&mut database, "users").await,
            sums: by_row(&mut database, "rollup_users").await,
            entry: by_row(&mut database, "score_history").await,
            attempt: by_row(&mut database, "user_action").await,
        }
    }
}

async fn by_row(database: &mut PgConnection, table: &str) -> f64 {
    // A table that has no parts is not in its own tree.
    let sql = format!(
        "SELECT greatest(pg_total_relation_size('{table}'), (SELECT sum(pg_total_relation_size(relid))
                                                             FROM pg_partition_tree('{table}')))::float8 / count(*) FROM {table}"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(database).await.unwrap()
}
