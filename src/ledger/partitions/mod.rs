//! The monthly partitions of `score_history`. A partition's bounds are read from its name.

pub mod detach;
pub mod month;

use sqlx::{PgConnection, PgPool};

use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::chain::Head;
use crate::ledger::partitions::month::Month;

/// Months that are created in advance.
const MONTHS_AHEAD: usize = 2;
/// A transaction that waits for a table lock blocks all later ones, so it gives up and the next sweep tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";

/// A partition of `score_history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Name of the table.
    pub name: String,
    /// It ends where this month starts.
    pub before: Month,
    /// The first partition has no lower bound. The others cover one month.
    is_first: bool,
}

impl Partition {
    fn parse(name: String) -> Option<Self> {
        let (before, is_first) = match name.strip_prefix("score_history_")? {
            "rest" => return None,
            rest => match rest.strip_prefix("before_") {
                Some(month) => (Month::from_table_suffix(month)?, true),
                None => (Month::from_table_suffix(rest)?.next(), false),
            },
        };
        Some(Self { name, before, is_first })
    }

    fn covers(&self, month: Month) -> bool {
        if self.is_first { month < self.before } else { month.next() == self.before }
    }
}

/// All partitions but the default one, oldest first.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<Partition>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'score_history'::regclass",
    )
    .fetch_all(connection)
    .await?;
    let mut partitions: Vec<Partition> = names.into_iter().filter_map(Partition::parse).collect();
    partitions.sort_by_key(|it| it.before);
    Ok(partitions)
}

/// Creates the partitions of this month and the next two.
///
/// # Errors
/// Postgres is unavailable, or a lock was not granted in time. The next sweep tries again.
pub async fn create_months(database: &PgPool) -> Result<(), Fault> {
    create_missing(database).await.map_err(|error| sql_fault("create_partitions", error))
}

async fn create_missing(database: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = database.acquire().await?;
    let current: String = sqlx::query_scalar("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")
        .fetch_one(&mut *connection)
        .await?;
    let current: Month = current.parse().map_err(|problem: String| sqlx::Error::Decode(problem.into()))?;
    let months = std::iter::successors(Some(current), |month| Some(month.next())).take(MONTHS_AHEAD + 1);
    let find_missing = |partitions: Vec<Partition>| {
        months.clone().find(|month| !partitions.iter().any(|partition| partition.covers(*month)))
    };
    while let Some(month) = find_missing(list(&mut connection).await?) {
        create(&mut connection, month).await?;
    }
    Ok(())
}

/// Creates a month's partition. Rows of the month in the default partition move there.
async fn create(connection: &mut PgConnection, month: Month) -> Result<(), sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    lock_chain(&mut transaction).await?;
    if list(&mut transaction).await?.iter().any(|partition| partition.covers(month)) {
        // Another node was faster.
        return Ok(());
    }
    let (name, from, to) = (month.table_suffix(), month.start(), month.next().start());
    let statements = format!(
        "CREATE TABLE score_history_{name} (LIKE score_history INCLUDING ALL);
         WITH found AS (DELETE FROM score_history_rest WHERE created_at >= '{from}' AND created_at < '{to}' RETURNING *)
         INSERT INTO score_history_{name} SELECT * FROM found;
         ALTER TABLE score_history ATTACH PARTITION score_history_{name} FOR VALUES FROM ('{from}') TO ('{to}')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Locks the chain against writers. This is the first lock of a transaction.
pub async fn lock_chain(transaction: &mut PgConnection) -> Result<Head, sqlx::Error> {
    sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
    Head::lock(transaction).await
}
