//! Closes one period: its entries, its root and `closed_at` are one transaction. The row of the period is locked and not closed yet, so
//! whatever is killed and however many nodes try, a period is closed once.

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, Transaction};

use super::counting::{Span, push_entries};
use super::root::{Cause, write_revisions};
use crate::board::{Order, Ranking, Rules};
use crate::db::{Database, begin};
use crate::receipt::ReceiptKeys;
use crate::store::PeriodKey;

/// Who closes periods, and why.
const CLOSE: Cause<'_> = Cause { actor: "laurel", reason: "closed" };

/// Begins a transaction that writes revisions. There is one at a time: a close and a correction of a player never overlap, so the later one
/// sees what the earlier one did. Reads do not wait for it.
pub async fn begin_revising(database: &Database) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut transaction = begin(database, "BEGIN").await?;
    sqlx::query("LOCK TABLE board_revisions IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Closes a period that is due. Everything that was redeemed in it must be in the ledger. Returns false if it is closed or held.
pub async fn close_period(
    database: &Database,
    keys: &ReceiptKeys,
    key: PeriodKey<'_>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = begin_revising(database).await?;
    let row = sqlx::query(
        "SELECT counts_from_us, ends_us, rules FROM board_periods
         WHERE board = $1 AND period = $2 AND closed_at IS NULL AND held_by IS NULL FOR UPDATE",
    );
    let row = row.bind(key.board).bind(key.period).fetch_optional(&mut *transaction).await?;
    let Some(row) = row else { return Ok(false) };
    write_entries(&mut transaction, key, &row).await?;
    write_revisions(&mut transaction, keys, key.board, key.period, CLOSE).await?;
    let close = sqlx::query("UPDATE board_periods SET closed_at = now() WHERE board = $1 AND period = $2");
    close.bind(key.board).bind(key.period).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Inserts the entries of a period from the ledger. `row` has `counts_from_us`, `ends_us` and `rules` of the period.
pub async fn write_entries(
    transaction: &mut PgConnection,
    key: PeriodKey<'_>,
    row: &PgRow,
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::new(
        "INSERT INTO board_entries (board, period, split, position, rank, user_id, username, score, subscore, achieved_us) SELECT ",
    );
    insert
        .push_bind(key.board.to_owned())
        .push(", ")
        .push_bind(key.period.to_owned())
        .push(", computed.* FROM (");
    push_final_entries(&mut insert, row)?;
    insert.push(") AS computed");
    insert.build().execute(transaction).await.map(drop)
}

/// Appends the query for the entries of a period with their places, by the ledger: `split`, `position`, `rank`, `user_id`, `username`,
/// `score`, `subscore` and `achieved_us`. `row` is as in `write_entries`.
pub fn push_final_entries(query: &mut QueryBuilder<Postgres>, row: &PgRow) -> Result<(), sqlx::Error> {
    let Json(rules): Json<Rules> = row.try_get("rules")?;
    let span = Span {
        from_us: row.try_get("counts_from_us")?,
        until_us: row.try_get("ends_us")?,
        to_seq: i64::MAX,
        users: None,
    };
    // As in Redis: a result without a subscore is worse than one with, and of equal results at the same instant the greater id is first.
    let (result, ties) = match rules.order {
        Order::Desc => ("score DESC, subscore DESC NULLS LAST", "hlc_us, user_id DESC"),
        Order::Asc => ("score, subscore NULLS LAST", "hlc_us, user_id DESC"),
    };
    let rank = match rules.ranking {
        Ranking::Competition => format!("rank() OVER (PARTITION BY split ORDER BY {result})"),
        Ranking::Dense => format!("dense_rank() OVER (PARTITION BY split ORDER BY {result})"),
        Ranking::Ordinal => format!("row_number() OVER (PARTITION BY split ORDER BY {result}, {ties})"),
    };
    query.push("SELECT coalesce(split, '') AS split, row_number() OVER (PARTITION BY split ORDER BY ");
    query.push(result).push(", ").push(ties).push(") AS position, ").push(rank);
    query.push(" AS rank, user_id, username, score, subscore, hlc_us AS achieved_us FROM (");
    push_entries(query, &rules, span);
    query.push(") AS entries");
    Ok(())
}
