//! A batch of the outbox goes to Postgres and leaves the outbox. What cannot be written becomes a dead letter, so that one bad entry
//! holds up no other.

use std::time::{Duration, Instant};

use super::database::{sql_fault, timed};
use super::leader::LeaderLock;
use super::letters::{self, Reason};
use super::traced;
use super::users::Users;
use super::write::{Origin, write_from};
use crate::app::App;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::store::{Entry, Store, Unread};

/// A batch that takes longer will not be answered any more: its connection was cut off without a word.
pub const BATCH_HANGS_AFTER: Duration = Duration::from_secs(30);

/// Why something was not written.
pub enum NotWritten {
    /// It is in the entries; one by one, others may be written.
    Entries(Fault),
    /// It is not: Postgres is away, or refuses whatever it is asked.
    Store(Fault),
}

/// Writes what was read of the outbox, and takes it out.
///
/// # Errors
/// A store is away, or Postgres refuses whatever it is asked: what was not written stays in the outbox.
pub async fn commit(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
    unread: &[Unread],
) -> Result<(), Fault> {
    for it in unread {
        letters::bury_unread(app, store, leader, it).await?;
    }
    if entries.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    match write_in_time(app, store, leader, entries, Origin::Outbox).await {
        Ok(()) => drop(store.settle(entries).await?),
        Err(NotWritten::Store(fault)) => return Err(fault),
        Err(NotWritten::Entries(fault)) => {
            tracing::warn!(%fault, entries = entries.len(), "a batch cannot be written as a whole, trying one by one");
            one_by_one(app, store, leader, entries).await?;
        }
    }
    note(&app.metrics, entries, started, app.clock.now_ms());
    Ok(())
}

/// Writes a dead letter's entry.
///
/// # Errors
/// It still cannot be written, or a store is away.
pub async fn write_again(app: &App, leader: &mut LeaderLock, entry: &Entry) -> Result<(), NotWritten> {
    write_in_time(app, &app.store, leader, std::slice::from_ref(entry), Origin::DeadLetter).await
}

async fn one_by_one(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
) -> Result<(), Fault> {
    let unknown = Users::unknown(leader.connection(), entries).await;
    let unknown = unknown.map_err(|error| sql_fault("look up the users of a batch", error))?;
    for entry in entries {
        if unknown.contains(&entry.user) {
            let detail = format!("Postgres does not know user {}", entry.user);
            letters::bury(app, store, leader, entry, Reason::UnknownUser, &detail).await?;
            continue;
        }
        let one = std::slice::from_ref(entry);
        match write_in_time(app, store, leader, one, Origin::Outbox).await {
            Ok(()) => drop(store.settle(one).await?),
            Err(NotWritten::Store(fault)) => return Err(fault),
            Err(NotWritten::Entries(fault)) => {
                letters::bury(app, store, leader, entry, Reason::Refused, &fault.to_string()).await?;
            }
        }
    }
    Ok(())
}

async fn write_in_time(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    entries: &[Entry],
    origin: Origin,
) -> Result<(), NotWritten> {
    let doing = "write the ledger";
    let spans = traced::begin(app, entries);
    let writing = write_from(leader.connection(), &app.receipts, store.shard_count(), entries, origin);
    let written = tokio::time::timeout(BATCH_HANGS_AFTER, timed(&app.metrics, doing, writing)).await;
    let written = match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_in_the_entries(&error) => Err(NotWritten::Entries(sql_fault(doing, error))),
        Ok(Err(error)) => Err(NotWritten::Store(sql_fault(doing, error))),
        Err(_) => Err(NotWritten::Store(Fault::retryable(doing, "no answer in time"))),
    };
    if written.is_ok() {
        app.failures.written();
    }
    traced::end(spans, written.as_ref().err());
    written
}

/// Whether other entries could be written: SQLSTATE classes 22 (data) and 23 (constraints), and what cannot be bound. Whatever else
/// Postgres says (no such column, no rights, a read-only transaction) it would say of every entry, so nothing becomes a dead letter for it.
fn is_in_the_entries(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["22", "23"].iter().any(|it| code.starts_with(it)))
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

fn note(metrics: &Metrics, entries: &[Entry], started: Instant, now_ms: i64) {
    metrics.ledger_batch(entries.len(), started.elapsed());
    if let Some(oldest_ms) = entries.iter().map(|it| it.at_ms).min() {
        metrics.ledger_lag(Duration::from_millis(now_ms.saturating_sub(oldest_ms).max(0) as u64));
    }
}
