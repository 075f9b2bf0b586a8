//! Closes periods while this node is the ledger's leader: those that are due, in the order of their ends, however long no leader ran. Then
//! revises closed ones, and deletes the entries of the oldest. It has a task and connections of its own, so no award and no batch of the
//! ledger waits for a close.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;

use super::close::close_period;
use super::revise::revise_closed;
use super::sweep::delete_old_entries;
use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::SHARD;
use crate::store::PeriodKey;

/// How often due periods are looked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often the outbox is compared, while a period waits for its last awards.
const OUTBOX_INTERVAL: Duration = Duration::from_millis(50);
/// A transaction that takes longer is rolled back and tried again: the connection was cut without notice.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(600);
/// Due periods per step.
const BATCH: i64 = 100;
/// The closed periods whose keys a new leader looks for. Each close deletes its keys before the next one begins, so a killed leader leaves
/// those of one period.
const RECENTLY_CLOSED: i64 = 10;

/// Closes periods for ever.
pub async fn close_periods_forever(ledger: Arc<Ledger>) {
    let mut closer = Closer::default();
    loop {
        if !ledger.health.is_leader() {
            closer = Closer::default();
        } else if let Err(fault) = closer.step(&ledger).await {
            tracing::warn!(%fault, runbook = "LaurelBoardCloseLate", "closing periods failed, retrying");
            closer = Closer::default();
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[derive(Default)]
struct Closer {
    /// Nothing is left that an earlier leader had to delete.
    is_clean: bool,
}

/// The board, the period and the end of one that can be closed.
type DuePeriod = (String, String, i64);

impl Closer {
    async fn step(&mut self, ledger: &Ledger) -> Result<(), Fault> {
        if !self.is_clean {
            delete_keys_of_closed(ledger).await?;
        }
        let has_closed = close_due(ledger).await?;
        let revise = || revise_closed(&ledger.database, &ledger.receipts);
        while run(ledger, "revise_closed_periods", revise()).await? {}
        if has_closed || !self.is_clean {
            for board in ledger.boards.all().iter() {
                let delete = || delete_old_entries(&ledger.database, board);
                while run(ledger, "delete_old_board_entries", delete()).await? {}
            }
        }
        self.is_clean = true;
        Ok(())
    }
}

/// Runs a transaction that may write all entries of a period.
async fn run(
    ledger: &Ledger,
    query_name: &'static str,
    transaction: impl Future<Output = Result<bool, sqlx::Error>>,
) -> Result<bool, Fault> {
    with_timeout(query_name, TRANSACTION_TIMEOUT, timed(&ledger.metrics, query_name, transaction)).await
}

/// Closes the periods that are due. Returns true if one was closed.
async fn close_due(ledger: &Ledger) -> Result<bool, Fault> {
    let due = list_due(ledger).await?;
    let Some(last_end_us) = due.iter().map(|(.., end_us)| *end_us).max() else { return Ok(false) };
    if !await_awards_before(ledger, last_end_us).await? {
        return Ok(false);
    }
    for (board, period, _) in &due {
        let key = PeriodKey { board, period };
        let close = close_period(&ledger.database, &ledger.receipts, key);
        if run(ledger, "close_period", close).await? {
            tracing::info!(board, period, "period closed");
            ledger.store.delete_entries(key).await?;
        }
    }
    Ok(true)
}

/// The periods to close now, by Redis' clock, oldest end first.
async fn list_due(ledger: &Ledger) -> Result<Vec<DuePeriod>, Fault> {
    let now_us = ledger.store.now_us().await?;
    let query_name = "list_due_periods";
    let due = sqlx::query_as(
        "SELECT board, period, ends_us FROM board_periods
         WHERE closed_at IS NULL AND held_by IS NULL AND closes_us <= $1 ORDER BY ends_us, board LIMIT $2",
    );
    let due = due.bind(now_us).bind(BATCH).fetch_all(&ledger.database);
    with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, due)).await
}

/// Waits until the ledger has every award from before `end_us`, and no other can come. False if that cannot be said now.
///
/// A shard's awards are in the order of its HLC, which is in Redis and only grows. So it is raised to the end, in one script with reading the
/// newest entry of the outbox: later awards belong to the next period, whatever Redis' clock does. When Postgres has that entry and
/// all before it, the period is complete. A mark in the outbox would do the same, and would be one more kind of entry. Last, the
/// ledger's clock is raised too: a Redis that lost the raised HLC, and with it perhaps awards, counts as an older copy and is loaded again.
async fn await_awards_before(ledger: &Ledger, end_us: i64) -> Result<bool, Fault> {
    let store = &ledger.store;
    let shards = 0..store.shard_count();
    let newest = try_join_all(shards.clone().map(|shard| store.advance_clock(shard, end_us))).await?;
    for (shard, newest) in shards.zip(newest) {
        let Some(newest) = newest else { return Ok(false) };
        while !newest.is_empty() && !store.is_written_to(shard, &newest).await? {
            if !ledger.health.is_leader() {
                return Ok(false);
            }
            tokio::time::sleep(OUTBOX_INTERVAL).await;
        }
    }
    let query_name = "advance_ledger_clock";
    let advance = sqlx::query(
        "WITH shards AS (UPDATE board_shards SET hlc_us = greatest(hlc_us, $1) WHERE shards = $2 AND hlc_us < $1)
         UPDATE ledger_heads SET hlc_us = $1 WHERE shard = $3 AND hlc_us < $1",
    );
    let advance = advance.bind(end_us).bind(store.shard_count() as i32).bind(SHARD);
    let advance = timed(&ledger.metrics, query_name, advance.execute(&ledger.database));
    with_timeout(query_name, ANSWER_TIMEOUT, advance).await?;
    Ok(true)
}

/// Deletes what a leader left in Redis that was killed between a close and its end.
async fn delete_keys_of_closed(ledger: &Ledger) -> Result<(), Fault> {
    let query_name = "list_closed_periods";
    let closed = sqlx::query_as(
        "SELECT board, period FROM board_periods WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT $1",
    );
    let closed = closed.bind(RECENTLY_CLOSED).fetch_all(&ledger.database);
    let closed: Vec<(String, String)> =
        with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, closed)).await?;
    for (board, period) in &closed {
        let key = PeriodKey { board, period };
        if ledger.store.entries_seq(key).await?.is_some() {
            ledger.store.delete_entries(key).await?;
        }
    }
    Ok(())
}
