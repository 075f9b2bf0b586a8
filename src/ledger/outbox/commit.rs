//! Commits a batch to Postgres and removes it from the outbox. Entries that cannot be written become dead letters, so that one bad entry
//! holds up no other.

use std::time::{Duration, Instant};

use crate::db::{sql_fault, timed};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::outbox::batch_users::BatchUsers;
use crate::ledger::outbox::dead_letters::{self, Reason};
use crate::ledger::outbox::write::{Origin, write_batch};
use crate::metrics::Metrics;
use crate::store::{Entry, Store, UnreadableEntry};
use crate::traces::{Span, SpanKind};

/// A batch that takes longer gets no answer any more: the connection was cut without notice.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why entries were not written.
pub enum WriteError {
    /// An entry is at fault. Written one by one, the others may succeed.
    Entry(Fault),
    /// Postgres is unavailable, or would reject any entry.
    Postgres(Fault),
}

/// Writes a batch and removes it from the outbox.
///
/// # Errors
/// A store is unavailable, or Postgres would reject any entry: what was not written stays in the outbox.
pub async fn commit_batch(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
    unread: &[UnreadableEntry],
) -> Result<(), Fault> {
    for entry in unread {
        dead_letters::record_unread(ledger, store, leader, entry).await?;
    }
    if entries.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    match write_with_timeout(ledger, store, leader, entries, Origin::Outbox).await {
        Ok(()) => drop(store.ack(entries).await?),
        Err(WriteError::Postgres(fault)) => return Err(fault),
        Err(WriteError::Entry(fault)) => {
            tracing::warn!(%fault, entries = entries.len(), "ledger batch rejected, writing entries one by one");
            write_one_by_one(ledger, store, leader, entries).await?;
        }
    }
    record_metrics(&ledger.metrics, entries, started, ledger.clock.now_ms());
    Ok(())
}

/// Writes a dead letter's entry.
///
/// # Errors
/// It still cannot be written, or Postgres is unavailable.
pub async fn write_dead_letter(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    entry: &Entry,
) -> Result<(), WriteError> {
    write_with_timeout(ledger, &ledger.store, leader, std::slice::from_ref(entry), Origin::DeadLetter).await
}

async fn write_one_by_one(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
) -> Result<(), Fault> {
    let unknown = BatchUsers::find_unknown(leader.connection(), entries).await;
    let unknown = unknown.map_err(|error| sql_fault("find_batch_users", error))?;
    for entry in entries {
        if unknown.contains(&entry.user) {
            let detail = format!("user {} is not in Postgres", entry.user);
            dead_letters::record(ledger, store, leader, entry, Reason::UnknownUser, &detail).await?;
            continue;
        }
        let single = std::slice::from_ref(entry);
        match write_with_timeout(ledger, store, leader, single, Origin::Outbox).await {
            Ok(()) => drop(store.ack(single).await?),
            Err(WriteError::Postgres(fault)) => return Err(fault),
            Err(WriteError::Entry(fault)) => {
                dead_letters::record(ledger, store, leader, entry, Reason::Refused, &fault.to_string())
                    .await?;
            }
        }
    }
    Ok(())
}

async fn write_with_timeout(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
    origin: Origin,
) -> Result<(), WriteError> {
    let query_name = "write_ledger";
    let spans = start_spans(ledger, entries);
    let write = write_batch(leader.connection(), &ledger.receipts, store.shard_count(), entries, origin);
    let written = tokio::time::timeout(BATCH_TIMEOUT, timed(&ledger.metrics, query_name, write)).await;
    let written = match written {
        Ok(Ok(committed)) => {
            ledger.recent_entries.add(committed);
            Ok(())
        }
        Ok(Err(error)) if is_entry_error(&error) => Err(WriteError::Entry(sql_fault(query_name, error))),
        Ok(Err(error)) => Err(WriteError::Postgres(sql_fault(query_name, error))),
        Err(_) => Err(WriteError::Postgres(Fault::retryable(query_name, "no answer in time"))),
    };
    if written.is_ok() {
        ledger.failures.reset();
        ledger.committed.notify_one();
    }
    end_spans(spans, written.as_ref().err());
    written
}

/// True if other entries could still be written: SQLSTATE classes 22 (data) and 23 (constraints), and values that cannot be encoded. All
/// other errors (missing columns or rights, a read-only transaction) would hit every entry, so they make no dead letters.
fn is_entry_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["22", "23"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

/// One span per traced award, from here to the commit of its batch.
fn start_spans(ledger: &Ledger, entries: &[Entry]) -> Vec<Span> {
    let Some(traces) = &ledger.traces else { return Vec::new() };
    let parents = entries.iter().filter_map(|entry| entry.trace.as_deref());
    let start = |parent| {
        let mut span = traces.resume(parent, SpanKind::Consumer, "process outbox");
        span.set("messaging.system", "redis");
        span.set("messaging.operation.name", "process");
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", "outbox");
        span.set("messaging.batch.message_count", entries.len() as i64);
        span
    };
    parents.map(start).collect()
}

fn end_spans(spans: Vec<Span>, error: Option<&WriteError>) {
    let error_type = match error {
        None => return,
        Some(WriteError::Postgres(fault)) if fault.retryable => "unavailable",
        Some(_) => "refused",
    };
    spans.into_iter().for_each(|mut span| span.fail(error_type));
}

fn record_metrics(metrics: &Metrics, entries: &[Entry], started: Instant, now_ms: i64) {
    metrics.ledger_batch(entries.len(), started.elapsed());
    if let Some(oldest_ms) = entries.iter().map(|it| it.at_ms).min() {
        metrics.ledger_lag(Duration::from_millis(now_ms.saturating_sub(oldest_ms).max(0) as u64));
    }
}
