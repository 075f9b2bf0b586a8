//! Late changes of closed periods. A ban, a void or an award that reached the ledger late changes the entries of some of them; each of those
//! gets a new revision that says who and why. The others stay as they are.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::close::{begin_revising, write_entries};
use super::counting::{Span, entries_query};
use super::root::{Cause, write_revisions};
use crate::board::Rules;
use crate::db::Database;
use crate::ledger::chain::SHARD;
use crate::receipt::ReceiptKeys;
use crate::store::PeriodKey;

/// Applies the oldest corrections with one cause to all closed periods and deletes them, in one transaction. The open periods have them
/// already, so a period that was closed in between was computed with them. Returns false if there are none.
pub async fn revise_closed(database: &Database, keys: &ReceiptKeys) -> Result<bool, sqlx::Error> {
    let exists = "SELECT EXISTS (SELECT FROM board_corrections WHERE is_followed)";
    if !sqlx::query_scalar(exists).fetch_one(database).await? {
        return Ok(false);
    }
    let mut transaction = begin_revising(database).await?;
    let corrections: Vec<(i64, Uuid, String, String)> = sqlx::query_as(
        "SELECT id, user_id, actor, reason FROM board_corrections
         WHERE is_followed AND (action, actor, reason) =
               (SELECT action, actor, reason FROM board_corrections WHERE is_followed ORDER BY id LIMIT 1)
         ORDER BY id LIMIT 100",
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some((_, _, actor, reason)) = corrections.first() else { return Ok(false) };
    let cause = Cause { actor, reason };
    let (ids, mut users): (Vec<i64>, Vec<Uuid>) = corrections.iter().map(|it| (it.0, it.1)).unzip();
    users.sort_unstable();
    users.dedup();
    for row in list_closed(&mut transaction, &users).await? {
        let (board, period): (String, String) = (row.try_get("board")?, row.try_get("period")?);
        let key = PeriodKey { board: &board, period: &period };
        if !is_changed(&mut transaction, key, &row, &users).await? {
            continue;
        }
        let delete = sqlx::query("DELETE FROM board_entries WHERE board = $1 AND period = $2");
        delete.bind(&board).bind(&period).execute(&mut *transaction).await?;
        write_entries(&mut transaction, key, &row).await?;
        let revisions = write_revisions(&mut transaction, keys, &board, &period, cause).await?;
        tracing::info!(board, period, revisions, actor, reason, "closed period revised");
    }
    let delete = sqlx::query("DELETE FROM board_corrections WHERE id = ANY($1)").bind(ids);
    delete.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The closed periods that the users have an entry or awards in. Periods that are older than the ledger, because their months were detached,
/// and those whose entries were deleted are final.
async fn list_closed(transaction: &mut PgConnection, users: &[Uuid]) -> Result<Vec<PgRow>, sqlx::Error> {
    let list = sqlx::query(
        "SELECT board, period, counts_from_us, ends_us, rules FROM board_periods AS it
         WHERE closed_at IS NOT NULL AND has_entries
               AND (starts_us >= (SELECT hlc_us FROM score_history WHERE shard = $2 AND action_type <> 'carried' ORDER BY seq LIMIT 1)
                    OR NOT EXISTS (SELECT FROM ledger_checkpoints WHERE shard = $2 AND is_chain_start))
               AND (EXISTS (SELECT FROM board_entries AS entry WHERE entry.board = it.board AND entry.period = it.period
                                                                     AND entry.user_id = ANY($1))
                    OR EXISTS (SELECT FROM score_history WHERE user_id = ANY($1) AND hlc_us >= counts_from_us AND hlc_us < ends_us))
         ORDER BY ends_us, board",
    );
    list.bind(users).bind(SHARD).fetch_all(transaction).await
}

/// Whether the users' entries differ from what the ledger says.
async fn is_changed(
    transaction: &mut PgConnection,
    key: PeriodKey<'_>,
    row: &PgRow,
    users: &[Uuid],
) -> Result<bool, sqlx::Error> {
    let Json(rules): Json<Rules> = row.try_get("rules")?;
    let span = Span {
        from_us: row.try_get("counts_from_us")?,
        until_us: row.try_get("ends_us")?,
        to_seq: i64::MAX,
        users: Some(users),
    };
    let rows = entries_query(&rules, span).build().fetch_all(&mut *transaction).await?;
    let entry = |row: &PgRow, time: &str| -> Result<_, sqlx::Error> {
        let split = row.try_get::<Option<String>, _>("split")?.unwrap_or_default();
        let (user, score): (Uuid, i64) = (row.try_get("user_id")?, row.try_get("score")?);
        Ok((split, user, score, row.try_get::<Option<i64>, _>("subscore")?, row.try_get::<i64, _>(time)?))
    };
    let in_ledger: BTreeSet<_> =
        rows.iter().map(|row| entry(row, "hlc_us")).collect::<Result<_, sqlx::Error>>()?;
    let rows = sqlx::query(
        "SELECT split, user_id, score, subscore, achieved_us FROM board_entries
         WHERE board = $1 AND period = $2 AND user_id = ANY($3)",
    );
    let rows = rows.bind(key.board).bind(key.period).bind(users).fetch_all(transaction).await?;
    let closed: BTreeSet<_> =
        rows.iter().map(|row| entry(row, "achieved_us")).collect::<Result<_, sqlx::Error>>()?;
    Ok(in_ledger != closed)
}
