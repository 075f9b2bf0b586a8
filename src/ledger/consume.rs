//! The consumer of the outbox. It reads what is new, takes over what a dead node left, writes it to Postgres and only then
//! settles it. Whatever fails is tried again: entries leave the outbox by being committed, and in no other way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::write::write;
use super::{Database, sql_fault};
use crate::app::App;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::store::{Entry, OutboxReader};

/// How long one read waits for entries; also how long a stop may take.
const BLOCK_MS: u64 = 500;
/// After a fault, before the next try.
const PAUSE: Duration = Duration::from_millis(500);
/// An outbox that does not shrink for so long holds what cannot be written.
const NO_PROGRESS: Duration = Duration::from_secs(30);

/// Consumes until `stop`, as a consumer of this name.
pub async fn consume_forever(app: Arc<App>, consumer: String, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let Err(fault) = consume(&app, &consumer, &stop).await else { return };
        tracing::warn!(%fault, "the ledger's consumer starts again");
        tokio::select! { () = tokio::time::sleep(PAUSE) => {}, () = stop.cancelled() => {} }
    }
}

async fn consume(app: &App, consumer: &str, stop: &CancellationToken) -> Result<(), Fault> {
    let outbox = &app.config.outbox;
    let mut reader = app.store.outbox_reader(consumer).await?;
    let mut looked = Instant::now();
    while !stop.is_cancelled() {
        if looked.elapsed() > Duration::from_millis(outbox.takeover_ms / 2) {
            looked = Instant::now();
            take_over(app, &mut reader, stop).await?;
        }
        let (entries, _) = reader.read(outbox.batch, BLOCK_MS).await?;
        commit_at_last(app, &entries, stop).await;
        if !entries.is_empty() && entries.len() < outbox.batch {
            tokio::time::sleep(Duration::from_millis(outbox.linger_ms)).await;
        }
    }
    reader.leave().await
}

/// Everything that was left alone for too long, by whomever.
async fn take_over(app: &App, reader: &mut OutboxReader, stop: &CancellationToken) -> Result<(), Fault> {
    let outbox = &app.config.outbox;
    loop {
        let (left, unreadable) = reader.take_over(outbox.batch, outbox.takeover_ms).await?;
        app.metrics.outbox_unreadable.set(unreadable as i64);
        commit_at_last(app, &left, stop).await;
        if left.len() + unreadable < outbox.batch || stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Writes a batch, however long a store is away: while Postgres is gone a consumer holds one batch and reads no more.
async fn commit_at_last(app: &App, entries: &[Entry], stop: &CancellationToken) {
    while let Err(fault) = commit(app, entries).await {
        tracing::warn!(%fault, entries = entries.len(), "a batch waits for its store");
        tokio::select! { () = tokio::time::sleep(PAUSE) => {}, () = stop.cancelled() => return }
    }
}

/// Consumes until nothing is left, so that the ledger has everything.
///
/// # Errors
/// A store is away, or what is left cannot be written: nothing has gone for a while.
pub async fn drain(app: &App) -> Result<(), Fault> {
    let mut reader = app.store.outbox_reader("drain").await?;
    let (mut least, mut progress) = (u64::MAX, Instant::now());
    loop {
        let left = app.store.glance().await?.outbox;
        if left == 0 {
            return reader.leave().await;
        }
        if left < least {
            (least, progress) = (left, Instant::now());
        } else if progress.elapsed() > NO_PROGRESS {
            return Err(Fault::new("empty the outbox", format!("{left} entries in it cannot be written")));
        }
        let (entries, _) = reader.take_over(app.config.outbox.batch, app.config.outbox.takeover_ms).await?;
        commit(app, &entries).await?;
        let (entries, _) = reader.read(app.config.outbox.batch, BLOCK_MS).await?;
        commit(app, &entries).await?;
    }
}

/// Writes a batch, one by one if it does not go in whole, so that one bad entry holds up no other.
async fn commit(app: &App, entries: &[Entry]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    match write_down(&app.database, entries).await {
        Ok(()) => settle(app, entries).await?,
        Err(fault) if fault.away => return Err(fault),
        Err(fault) => {
            tracing::error!(%fault, entries = entries.len(), "a batch does not go in whole; trying one by one");
            one_by_one(app, &app.database, entries).await?;
        }
    }
    note(&app.metrics, entries, started, app.clock.now_ms());
    Ok(())
}

async fn one_by_one(app: &App, database: &Database, entries: &[Entry]) -> Result<(), Fault> {
    for entry in entries {
        let one = std::slice::from_ref(entry);
        match write_down(database, one).await {
            Ok(()) => settle(app, one).await?,
            Err(fault) if fault.away => return Err(fault),
            Err(fault) => {
                tracing::error!(%fault, stream_id = entry.stream_id, "an entry stays in the outbox")
            }
        }
    }
    Ok(())
}

async fn write_down(database: &Database, entries: &[Entry]) -> Result<(), Fault> {
    let doing = "write the ledger";
    let mut connection = database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    write(&mut connection, entries).await.map_err(|error| sql_fault(doing, error))
}

async fn settle(app: &App, entries: &[Entry]) -> Result<(), Fault> {
    let ids: Vec<&str> = entries.iter().map(|it| it.stream_id.as_str()).collect();
    app.store.settle(&ids).await.map(drop)
}

fn note(metrics: &Metrics, entries: &[Entry], started: Instant, now_ms: i64) {
    metrics.ledger_batch(entries.len(), started.elapsed());
    if let Some(oldest_ms) = entries.iter().map(|it| it.at_ms).min() {
        metrics.ledger_lag(Duration::from_millis(now_ms.saturating_sub(oldest_ms).max(0) as u64));
    }
}
