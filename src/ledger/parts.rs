//! The months of the ledger as parts of `score_history`. A part's bounds are read from its name.

use sqlx::{PgConnection, PgPool};

use super::chain::Head;
use super::month::Month;
use super::sql_fault;
use crate::error::Fault;

/// This month and so many after it have a part.
const AHEAD: usize = 2;
/// Who waits for a table waits in front of everybody else: better try again in a minute.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";

/// A part of `score_history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub name: String,
    /// It has what is before this month; and, unless it is the first part, not before the month before.
    pub before: Month,
    /// Whether it goes back to the beginning.
    first: bool,
}

impl Part {
    fn read(name: String) -> Option<Self> {
        let (before, first) = match name.strip_prefix("score_history_")? {
            "rest" => return None,
            rest => match rest.strip_prefix("before_") {
                Some(month) => (Month::of_name(month)?, true),
                None => (Month::of_name(rest)?.next(), false),
            },
        };
        Some(Self { name, before, first })
    }

    fn has(&self, month: Month) -> bool {
        if self.first { month < self.before } else { month.next() == self.before }
    }
}

/// The parts, oldest first, but for the one with the rest.
pub async fn parts(connection: &mut PgConnection) -> Result<Vec<Part>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'score_history'::regclass",
    )
    .fetch_all(connection)
    .await?;
    let mut parts: Vec<Part> = names.into_iter().filter_map(Part::read).collect();
    parts.sort_by_key(|it| it.before);
    Ok(parts)
}

/// Makes the parts of this month and of those that come next.
///
/// # Errors
/// Postgres is away, or the ledger is so busy that the next try has to do it.
pub async fn make_months(database: &PgPool) -> Result<(), Fault> {
    make_missing(database).await.map_err(|error| sql_fault("make the ledger's months", error))
}

async fn make_missing(database: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = database.acquire().await?;
    let this: String = sqlx::query_scalar("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")
        .fetch_one(&mut *connection)
        .await?;
    let this: Month = this.parse().map_err(|problem: String| sqlx::Error::Decode(problem.into()))?;
    let months = std::iter::successors(Some(this), |it| Some(it.next())).take(AHEAD + 1);
    let missing = |parts: Vec<Part>| months.clone().find(|month| !parts.iter().any(|it| it.has(*month)));
    while let Some(month) = missing(parts(&mut connection).await?) {
        make(&mut connection, month).await?;
    }
    Ok(())
}

/// Makes a month's part. What the rest has of it moves there.
async fn make(connection: &mut PgConnection, month: Month) -> Result<(), sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    begin(&mut transaction).await?;
    lock_users(&mut transaction).await?;
    if parts(&mut transaction).await?.iter().any(|it| it.has(month)) {
        // Another node was quicker.
        return Ok(());
    }
    let (name, from, to) = (month.in_name(), month.begins(), month.next().begins());
    let statements = format!(
        "CREATE TABLE score_history_{name} (LIKE score_history INCLUDING ALL);
         WITH found AS (DELETE FROM score_history_rest WHERE created_at >= '{from}' AND created_at < '{to}' RETURNING *)
         INSERT INTO score_history_{name} SELECT * FROM found;
         ALTER TABLE score_history ATTACH PARTITION score_history_{name} FOR VALUES FROM ('{from}') TO ('{to}')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Locks the chain, so that nobody writes meanwhile. It comes first of all that is locked, `lock_users` after it.
pub async fn begin(transaction: &mut PgConnection) -> Result<Head, sqlx::Error> {
    sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
    Head::take(transaction).await
}

/// Locks what attaching and detaching a table with a key into `users` locks, in the order in which operators do: users, then
/// their history. So nobody waits crosswise.
pub async fn lock_users(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    let lock = "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE";
    sqlx::query(lock).execute(transaction).await.map(drop)
}
