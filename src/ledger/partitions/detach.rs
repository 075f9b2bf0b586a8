//! Detaches old partitions from the ledger. One `carried` entry per user replaces their entries, so that totals, histories, ties and a
//! rebuild stay as they were. The chain is verified from a signed checkpoint on.

use sqlx::{Acquire, PgConnection, Row};
use uuid::Uuid;

use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::checkpoint::{self, Checkpoint};
use crate::ledger::chain::{Hash, Head, Link, SHARD};
use crate::ledger::outbox::awards::{self, DUPLICATE_WINDOW_DAYS};
use crate::ledger::outbox::held_decisions::Marks;
use crate::ledger::partitions::month::Month;
use crate::ledger::partitions::{self, Partition};
use crate::ledger::rollup::add_pending_awards;

/// Action type of an entry that sums up detached ones. Later detachments append another one; the earlier one stays.
const CARRIED: &str = "carried";
/// Entries per statement.
const PAGE: i64 = 5000;
const DOING: &str = "detach_partitions";

/// Result of a detachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetachReport {
    /// New names of the tables.
    pub tables: Vec<String>,
    /// Number of entries in them.
    pub entries: i64,
    /// Number of users whose total was carried over.
    pub carried: i64,
}

/// Detaches the partitions that end before `before`. Returns an empty report if there are none.
///
/// # Errors
/// A store is unavailable, or the partitions cannot be detached yet; the error says why. Nothing was changed then.
pub async fn detach(ledger: &Ledger, before: Month) -> Result<DetachReport, Fault> {
    let fault = |error| sql_fault(DOING, error);
    // The rollups cannot read detached entries.
    add_pending_awards(ledger).await?;
    let mut connection = ledger.database.acquire().await.map_err(fault)?;
    let mut transaction = connection.begin().await.map_err(fault)?;
    let mut head = partitions::lock_chain(&mut transaction).await.map_err(fault)?;
    let mut detached = partitions::list(&mut transaction).await.map_err(fault)?;
    detached.retain(|partition| partition.before <= before);
    let Some(end) = detached.last().map(|it| it.before) else { return Ok(DetachReport::default()) };
    if is_recent(&mut transaction, end).await.map_err(fault)? {
        let problem = format!("they end at {end}, less than {DUPLICATE_WINDOW_DAYS} days ago");
        return Err(Fault::new(DOING, problem));
    }
    if let Some((board, period)) = unclosed_period(&mut transaction, end).await.map_err(fault)? {
        let problem =
            format!("the board {board} counts their awards in its period {period}, which is not closed");
        return Err(Fault::new(DOING, problem));
    }
    for shard in 0..ledger.store.shard_count() {
        if !ledger.store.is_written_to(shard, &format!("{}-0", end.start_ms())).await? {
            return Err(Fault::new(
                DOING,
                "the outbox has entries of that time: try again once they are written",
            ));
        }
    }
    let (entries, last) = count_entries(&mut transaction, end).await.map_err(fault)?;
    let mut checkpoints = Vec::new();
    let mut carried = 0;
    if let Some(last) = last {
        sum_carried(&mut transaction, end).await.map_err(fault)?;
        if let Some(problem) = find_obstacle(&mut transaction, end, last).await.map_err(fault)? {
            return Err(Fault::new(DOING, problem));
        }
        let chain_start = write_chain_start(ledger, &mut transaction, last).await.map_err(fault)?;
        carried = append_carried(ledger, &mut transaction, &mut head).await.map_err(fault)?;
        let written =
            checkpoint::write(&mut transaction, &ledger.receipts, head.seq, &head.hash, false).await;
        checkpoints = vec![chain_start, written.map_err(fault)?];
    }
    let tables = detach_tables(&mut transaction, &detached, end).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    checkpoints.iter().for_each(Checkpoint::log);
    Ok(DetachReport { tables, entries, carried })
}

async fn is_recent(transaction: &mut PgConnection, end: Month) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT now() < $1::timestamptz + make_interval(days => $2)")
        .bind(end.start())
        .bind(DUPLICATE_WINDOW_DAYS)
        .fetch_one(transaction)
        .await
}

/// A board and its period that needs entries from before `end` and is not closed. The totals of `global` are carried over.
async fn unclosed_period(
    transaction: &mut PgConnection,
    end: Month,
) -> Result<Option<(String, String)>, sqlx::Error> {
    let needs = sqlx::query_as(
        "SELECT board, period FROM board_periods
         WHERE closed_at IS NULL AND counts_from_us < $1 AND NOT (rules->>'is_total')::boolean ORDER BY starts_us, board LIMIT 1",
    );
    needs.bind(end.start_ms() * 1000).fetch_optional(transaction).await
}

/// Number of entries to detach, and the position of the last one.
async fn count_entries(
    transaction: &mut PgConnection,
    end: Month,
) -> Result<(i64, Option<i64>), sqlx::Error> {
    sqlx::query_as("SELECT count(*), max(seq) FROM score_history WHERE created_at < $1::timestamptz")
        .bind(end.start())
        .fetch_one(transaction)
        .await
}

/// Fills the temporary table `carried`: per user the total before and after, when it was reached (as in `restore/top_list.rs`), and the
/// newest clock. An earlier `carried` entry may be in a month that stays, so a user's entries can be in several pieces. A piece
/// that neither changed nor reached a total, such as awards of 0 points, needs no entry.
async fn sum_carried(transaction: &mut PgConnection, end: Month) -> Result<(), sqlx::Error> {
    sqlx::query(
        "CREATE TEMPORARY TABLE carried (n BIGINT PRIMARY KEY, user_id UUID, piece BIGINT, before BIGINT, after BIGINT,
                                         reached BIGINT, newest BIGINT, held BOOLEAN) ON COMMIT DROP",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO carried
         SELECT row_number() OVER (ORDER BY user_id, piece), user_id, piece, min(before), min(after),
                coalesce(max(hlc_us) FILTER (WHERE score_after = after AND reaches), max(hlc_us)), max(hlc_us), bool_or(held)
         FROM (SELECT *, first_value(score_before) OVER piece AS before, last_value(score_after) OVER piece AS after
               FROM (SELECT *, count(*) FILTER (WHERE is_gap) OVER (PARTITION BY user_id ORDER BY hlc_us) AS piece
                     FROM (SELECT *, score_before <> lag(score_after) OVER (PARTITION BY user_id ORDER BY hlc_us) AS is_gap,
                                  CASE action_token_hash WHEN '' THEN action_type <> 'void' ELSE points_earned <> 0 END AS reaches
                           FROM score_history WHERE created_at < $1::timestamptz) it) it
               WINDOW piece AS (PARTITION BY user_id, piece ORDER BY hlc_us
                                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) it
         GROUP BY user_id, piece
         HAVING min(before) <> min(after) OR bool_or(score_after = after AND reaches)",
    )
    .bind(end.start())
    .execute(transaction)
    .await
    .map(drop)
}

/// Why the partitions cannot be detached: their histories must be consistent, they must be older than all entries that stay, and no points
/// in them may be held.
async fn find_obstacle(
    transaction: &mut PgConnection,
    end: Month,
    last: i64,
) -> Result<Option<String>, sqlx::Error> {
    let first_kept: Option<i64> = sqlx::query_scalar(
        "SELECT min(seq) FROM score_history WHERE created_at >= $1::timestamptz AND shard = $2 AND seq < $3",
    )
    .bind(end.start())
    .bind(SHARD)
    .bind(last)
    .fetch_one(&mut *transaction)
    .await?;
    if let Some(seq) = first_kept {
        let problem = format!(
            "entry {seq} would stay but the later entry {last} would go, because a clock was set back: choose another month"
        );
        return Ok(Some(problem));
    }
    let checks = [
        ("held", "has held points in them: approve or void them first"),
        (
            "piece > 0 AND NOT EXISTS (SELECT FROM score_history it WHERE it.user_id = carried.user_id
                                       AND it.created_at >= $1::timestamptz AND it.action_type = $2
                                       AND it.score_after = carried.before)",
            "has an inconsistent history in them: run laurel verify --ledger",
        ),
        (
            "EXISTS (SELECT FROM score_history it WHERE it.user_id = carried.user_id AND it.hlc_us < carried.newest
                     AND it.created_at >= $1::timestamptz AND it.action_type <> $2)",
            "has an entry that would stay but is older than one that would go: choose another month",
        ),
    ];
    for (check, problem) in checks {
        let sql = sqlx::AssertSqlSafe(format!("SELECT user_id FROM carried WHERE {check} LIMIT 1"));
        let user: Option<Uuid> =
            sqlx::query_scalar(sql).bind(end.start()).bind(CARRIED).fetch_optional(&mut *transaction).await?;
        if let Some(user) = user {
            return Ok(Some(format!("user {user} {problem}")));
        }
    }
    Ok(None)
}

/// Signs the checkpoint from which the chain is verified from now on.
async fn write_chain_start(
    ledger: &Ledger,
    transaction: &mut PgConnection,
    last: i64,
) -> Result<Checkpoint, sqlx::Error> {
    let hash: Hash = sqlx::query_scalar("SELECT hash FROM score_history WHERE shard = $1 AND seq = $2")
        .bind(SHARD)
        .bind(last)
        .fetch_one(&mut *transaction)
        .await?;
    checkpoint::write(transaction, &ledger.receipts, last, &hash, true).await
}

/// Appends the `carried` entries. Returns their number.
async fn append_carried(
    ledger: &Ledger,
    transaction: &mut PgConnection,
    head: &mut Head,
) -> Result<i64, sqlx::Error> {
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
            event_id: ledger.clock.new_id(),
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
        let rows: Vec<_> = links.map(|link| (link, Marks::default())).collect();
        awards::append(transaction, head, &rows).await?;
    }
}

/// Turns the partitions into plain tables. Older rows in the default partition move to the newest of them.
async fn detach_tables(
    transaction: &mut PgConnection,
    detached: &[Partition],
    end: Month,
) -> Result<Vec<String>, sqlx::Error> {
    let mut tables = Vec::new();
    for Partition { name, .. } in detached {
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
            "WITH moved AS (DELETE FROM score_history_rest WHERE created_at < '{}' RETURNING *)
             INSERT INTO {newest} SELECT * FROM moved",
            end.start()
        ));
        sqlx::query(statement).execute(transaction).await?;
    }
    Ok(tables)
}
