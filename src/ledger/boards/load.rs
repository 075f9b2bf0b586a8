//! Loads one period from the ledger: a new one, one that Redis lost, or all of a board's awards that are older than the board.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;

use super::counting::{entries_query, entry_rules, set_entry};
use super::periods::{OpenPeriod, is_closed};
use crate::db::{begin, sql_fault};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::SHARD;

/// Entries per call of Redis.
const BATCH: usize = 1000;

/// Loads a period and returns the sequence number at which it stands; `None` if it stands later already, or was closed.
///
/// # Errors
/// A store is unavailable. The period is as before.
pub async fn load_period(ledger: &Ledger, period: &OpenPeriod, as_of_ms: i64) -> Result<Option<i64>, Fault> {
    let query_name = "load_board";
    let fault = |error| sql_fault(query_name, error);
    let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut snapshot = begin(&ledger.database, statement).await.map_err(fault)?;
    let head = sqlx::query_as("SELECT seq, hlc_us FROM ledger_heads WHERE shard = $1").bind(SHARD);
    let (to_seq, head_hlc_us): (i64, i64) = head.fetch_one(&mut *snapshot).await.map_err(fault)?;
    let key = period.key();
    let mut load = ledger.store.load_entries(key, entry_rules(&period.rules)).await?;
    let mut query = entries_query(&period.rules, period.span(to_seq));
    let mut chunks = query.build().fetch(&mut *snapshot).try_chunks(BATCH);
    let mut entries = 0;
    let mut next = chunks.try_next().await;
    while let Some(rows) = next.map_err(|error| fault(error.1))? {
        let set = |row: &PgRow| set_entry(&period.rules, row).map_err(fault);
        let changes: Vec<_> = rows.iter().map(set).collect::<Result<_, _>>()?;
        // Postgres reads the next ones meanwhile.
        let (added, following) = tokio::join!(load.add(&changes), chunks.try_next());
        added?;
        next = following;
        entries += rows.len();
    }
    let is_current = load.replace_entries(to_seq, as_of_ms, head_hlc_us).await?;
    drop(chunks);
    snapshot.rollback().await.map_err(fault)?;
    // Who closes a period deletes its keys afterwards, so either this or that comes last.
    if is_closed(&ledger.database, period).await.map_err(fault)? {
        ledger.store.delete_entries(key).await?;
        return Ok(None);
    }
    ledger.metrics.board_loads.with_label_values(&[&period.board]).inc();
    tracing::info!(
        board = period.board,
        period = period.id,
        entries,
        seq = to_seq,
        "board loaded from the ledger"
    );
    Ok(is_current.then_some(to_seq))
}
