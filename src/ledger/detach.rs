//! Old parts of the ledger are taken off it. What they came to is carried over, an entry a user, so that sums, each user's
//! history, ties and a rebuild stay as they were; and the chain is walked from a signed checkpoint on.

use sqlx::{Acquire, PgConnection, Row};
use uuid::Uuid;

use super::awards::{self, AGAIN_WITHIN_DAYS};
use super::chain::{Hash, Head, Link, SHARD};
use super::checkpoint::{self, Checkpoint};
use super::month::Month;
use super::parts::{self, Part};
use super::rollup::add_all_awards;
use super::sql_fault;
use crate::app::App;
use crate::error::Fault;

/// What an entry of this kind sums up is in a part that was detached. It follows the one of an earlier time, which stays.
const CARRIED: &str = "carried";
/// Entries a statement.
const PAGE: i64 = 5000;
const DOING: &str = "detach older parts of the ledger";

/// What was detached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detached {
    /// The tables, as they are called now.
    pub tables: Vec<String>,
    /// Entries in them.
    pub entries: i64,
    /// Users whose total was carried over.
    pub carried: i64,
}

/// Takes the parts that end before a month off the ledger. Nothing to do is no error.
///
/// # Errors
/// A store is away; or the parts cannot go yet: one line that says why. Nothing was changed then.
pub async fn detach(app: &App, before: Month) -> Result<Detached, Fault> {
    let fault = |error| sql_fault(DOING, error);
    // What is gone cannot be summed up later.
    add_all_awards(app).await?;
    let mut connection = app.database.acquire().await.map_err(fault)?;
    let mut transaction = connection.begin().await.map_err(fault)?;
    let mut head = parts::begin(&mut transaction).await.map_err(fault)?;
    let mut gone = parts::parts(&mut transaction).await.map_err(fault)?;
    gone.retain(|it| it.before <= before);
    let Some(end) = gone.last().map(|it| it.before) else { return Ok(Detached::default()) };
    if is_young(&mut transaction, end).await.map_err(fault)? {
        let why = format!("they go up to {end}, which began less than {AGAIN_WITHIN_DAYS} days ago");
        return Err(Fault::new(DOING, why));
    }
    for shard in 0..app.store.shard_count() {
        if !app.store.is_written_to(shard, &format!("{}-0", end.begins_ms())).await? {
            return Err(Fault::new(
                DOING,
                "the outbox still has entries of that time: try again once they are written",
            ));
        }
    }
    let (entries, last) = count(&mut transaction, end).await.map_err(fault)?;
    let mut checkpoints = Vec::new();
    let mut carried = 0;
    if let Some(last) = last {
        sum_up(&mut transaction, end).await.map_err(fault)?;
        if let Some(why) = objection(&mut transaction, end, last).await.map_err(fault)? {
            return Err(Fault::new(DOING, why));
        }
        let begins = begin_after(app, &mut transaction, last).await.map_err(fault)?;
        carried = carry(app, &mut transaction, &mut head).await.map_err(fault)?;
        let written = checkpoint::write(&mut transaction, &app.receipts, head.seq, &head.hash, false).await;
        checkpoints = vec![begins, written.map_err(fault)?];
    }
    let tables = take_off(&mut transaction, &gone, end).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    checkpoints.iter().for_each(Checkpoint::log);
    Ok(Detached { tables, entries, carried })
}

async fn is_young(transaction: &mut PgConnection, end: Month) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT now() < $1::timestamptz + make_interval(days => $2)")
        .bind(end.begins())
        .bind(AGAIN_WITHIN_DAYS)
        .fetch_one(transaction)
        .await
}

/// How many entries go, and the last of them.
async fn count(transaction: &mut PgConnection, end: Month) -> Result<(i64, Option<i64>), sqlx::Error> {
    sqlx::query_as("SELECT count(*), max(seq) FROM score_history WHERE created_at < $1::timestamptz")
        .bind(end.begins())
        .fetch_one(transaction)
        .await
}

/// What the parts came to, by user: the total before and after, when that was reached (as `best.rs` sees it), and the newest
/// moment. What was carried over from earlier parts may stand in a month that stays; so a user's entries can be in pieces.
async fn sum_up(transaction: &mut PgConnection, end: Month) -> Result<(), sqlx::Error> {
    sqlx::query(
        "CREATE TEMPORARY TABLE carried (n BIGINT PRIMARY KEY, user_id UUID, piece BIGINT, before BIGINT, after BIGINT,
                                         reached BIGINT, newest BIGINT, held BOOLEAN) ON COMMIT DROP",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO carried
         SELECT row_number() OVER (ORDER BY user_id, piece), user_id, piece, min(before), min(after),
                coalesce(max(hlc_us) FILTER (WHERE score_after = after AND NOT (action_type = 'void' AND note IS NOT NULL)),
                         max(hlc_us)),
                max(hlc_us), bool_or(held)
         FROM (SELECT *, first_value(score_before) OVER piece AS before, last_value(score_after) OVER piece AS after
               FROM (SELECT *, count(*) FILTER (WHERE apart) OVER (PARTITION BY user_id ORDER BY hlc_us) AS piece
                     FROM (SELECT *, score_before <> lag(score_after) OVER (PARTITION BY user_id ORDER BY hlc_us) AS apart
                           FROM score_history WHERE created_at < $1::timestamptz) it) it
               WINDOW piece AS (PARTITION BY user_id, piece ORDER BY hlc_us
                                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) it
         GROUP BY user_id, piece",
    )
    .bind(end.begins())
    .execute(transaction)
    .await
    .map(drop)
}

/// Why the parts cannot go: they must be whole, in order before all that stays, and nothing in them may be undecided.
async fn objection(
    transaction: &mut PgConnection,
    end: Month,
    last: i64,
) -> Result<Option<String>, sqlx::Error> {
    let early: Option<i64> = sqlx::query_scalar(
        "SELECT min(seq) FROM score_history WHERE created_at >= $1::timestamptz AND shard = $2 AND seq < $3",
    )
    .bind(end.begins())
    .bind(SHARD)
    .bind(last)
    .fetch_one(&mut *transaction)
    .await?;
    if let Some(seq) = early {
        let why =
            format!("entry {seq} would stay, but entry {last} goes: a clock went back; choose another month");
        return Ok(Some(why));
    }
    let checks = [
        ("held", "has points in them that are held: confirm or void them first"),
        (
            "piece > 0 AND NOT EXISTS (SELECT FROM score_history it WHERE it.user_id = carried.user_id
                                       AND it.created_at >= $1::timestamptz AND it.action_type = $2
                                       AND it.score_after = carried.before)",
            "has a history in them that does not chain: see laurel verify --ledger",
        ),
        (
            "EXISTS (SELECT FROM score_history it WHERE it.user_id = carried.user_id AND it.hlc_us < carried.newest
                     AND it.created_at >= $1::timestamptz AND it.action_type <> $2)",
            "has an entry that stays and is older than one that goes: choose another month",
        ),
    ];
    for (check, why) in checks {
        let sql = sqlx::AssertSqlSafe(format!("SELECT user_id FROM carried WHERE {check} LIMIT 1"));
        let user: Option<Uuid> = sqlx::query_scalar(sql)
            .bind(end.begins())
            .bind(CARRIED)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(user) = user {
            return Ok(Some(format!("user {user} {why}")));
        }
    }
    Ok(None)
}

/// From now on the chain is walked after this entry.
async fn begin_after(
    app: &App,
    transaction: &mut PgConnection,
    last: i64,
) -> Result<Checkpoint, sqlx::Error> {
    let hash: Hash = sqlx::query_scalar("SELECT hash FROM score_history WHERE shard = $1 AND seq = $2")
        .bind(SHARD)
        .bind(last)
        .fetch_one(&mut *transaction)
        .await?;
    checkpoint::write(transaction, &app.receipts, last, &hash, true).await
}

/// Appends the users' totals. Returns how many there were.
async fn carry(app: &App, transaction: &mut PgConnection, head: &mut Head) -> Result<i64, sqlx::Error> {
    let created_us: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        .fetch_one(&mut *transaction)
        .await?;
    let mut carried = 0;
    loop {
        let rows = sqlx::query(
            "SELECT user_id, before, after, reached FROM carried WHERE n > $1 AND n <= $1 + $2 ORDER BY n",
        );
        let rows = rows.bind(carried).bind(PAGE).fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            head.save(transaction).await?;
            return Ok(carried);
        }
        carried += rows.len() as i64;
        let links = rows.iter().map(|row| Link {
            event_id: app.clock.new_id(),
            user: row.get("user_id"),
            action: CARRIED,
            points: row.get::<i64, _>("after") - row.get::<i64, _>("before"),
            token_hash: "",
            before: row.get("before"),
            after: row.get("after"),
            hlc_us: row.get("reached"),
            created_us,
            note: "",
        });
        let rows: Vec<_> = links.map(|it| (it, false)).collect();
        awards::append(transaction, head, &rows).await?;
    }
}

/// Makes plain tables of the parts. What the rest has from before goes into the newest of them.
async fn take_off(
    transaction: &mut PgConnection,
    gone: &[Part],
    end: Month,
) -> Result<Vec<String>, sqlx::Error> {
    parts::lock_users(transaction).await?;
    let mut tables = Vec::new();
    for Part { name, .. } in gone {
        let table = name.replacen("score_history_", "score_history_detached_", 1);
        let statements = format!(
            "ALTER TABLE score_history DETACH PARTITION {name};
             ALTER TABLE {name} RENAME TO {table}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *transaction).await?;
        tables.push(table);
    }
    if let Some(newest) = tables.last() {
        let statement = sqlx::AssertSqlSafe(format!(
            "WITH gone AS (DELETE FROM score_history_rest WHERE created_at < '{}' RETURNING *)
             INSERT INTO {newest} SELECT * FROM gone",
            end.begins()
        ));
        sqlx::query(statement).execute(transaction).await?;
    }
    Ok(tables)
}
