//! The outbox becomes rows. One node at a time has the lead: it reads from the oldest entry on, writes a batch to Postgres and
//! only then takes it out. Whatever fails begins anew: entries leave the outbox by being committed, and in no other way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::awards;
use super::database::{in_time, timed};
use super::lead::Lead;
use super::open::open;
use super::traced;
use super::write::write;
use crate::action::Acknowledge;
use crate::app::App;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::store::{Entry, OLDEST, Store};

/// How long one read waits for entries; also how long a stop may take, and a sign of life that others look for.
const BLOCK_MS: u64 = 500;
/// After a fault, before the next try.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the leader looks whether the board is open.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often entries that were left behind, because they could not be written or read, are tried again.
const REWIND_EVERY: Duration = Duration::from_secs(30);
/// A batch that takes longer will not be answered any more: its connection was cut off without a word.
const BATCH_HANGS_AFTER: Duration = Duration::from_secs(30);

/// Waits for the lead and consumes, until `stop`.
pub async fn consume_forever(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let led = tokio::select! {
            lead = Lead::take(&app.database) => lead,
            () = stop.cancelled() => return,
        };
        let led = match led {
            Ok(lead) => {
                note_lead(&app, true);
                let consumed = consume(&app, lead, &stop).await;
                note_lead(&app, false);
                consumed
            }
            Err(fault) => Err(fault),
        };
        let Err(fault) = led else { return };
        tracing::warn!(%fault, "the ledger's lead is given up and tried for again");
        tokio::select! { () = tokio::time::sleep(PAUSE) => {}, () = stop.cancelled() => {} }
    }
}

fn note_lead(app: &App, has: bool) {
    app.health.lead(has);
    app.metrics.ledger_lead.set(has.into());
}

async fn consume(app: &App, mut lead: Lead, stop: &CancellationToken) -> Result<(), Fault> {
    let outbox = &app.config.outbox;
    let mut reader = app.store.outbox_reader().await?;
    app.metrics.outbox_unreadable.set(0);
    let lingers = linger(app);
    let (mut looked, mut rewound) = (None::<Instant>, Instant::now());
    while !stop.is_cancelled() {
        if looked.is_none_or(|it| it.elapsed() > LOOK_EVERY) {
            looked = Some(Instant::now());
            open(app, &mut lead, &mut reader).await?;
            if rewound.elapsed() > REWIND_EVERY {
                rewound = Instant::now();
                app.metrics.outbox_unreadable.set(0);
                reader.rewind();
            }
        }
        reader.revive(&app.store).await;
        let share = outbox.batch.div_ceil(app.store.shard_count());
        let (entries, unreadable) = reader.read(share, BLOCK_MS).await?;
        app.metrics.outbox_unreadable.add(unreadable as i64);
        if entries.is_empty() {
            lead.beat(&app.metrics).await?;
        }
        commit(app, &app.store, &mut lead, &entries).await?;
        if !entries.is_empty() && entries.len() < share {
            tokio::time::sleep(lingers).await;
        }
    }
    lead.release().await;
    Ok(())
}

/// How long a batch that is not full waits for more. What a batch costs besides its rows is shared by them, and an attempt that is redeemed
/// meanwhile is one row written once. Where players wait for the commit, they wait less.
fn linger(app: &App) -> Duration {
    let is_waited_for = app.catalogue.all().iter().any(|it| it.acknowledge == Acknowledge::Ledger);
    Duration::from_millis(app.config.outbox.linger_ms) / if is_waited_for { 3 } else { 1 }
}

/// Consumes a shard's outbox until nothing is left, so that the ledger has everything. The shard must be closed. What an older copy has
/// may come after what the ledger went on with. `store` is the node's own, or the one that it takes over from.
///
/// # Errors
/// A store is away, or something is left that cannot be written.
pub async fn drain(
    app: &App,
    store: &Store,
    lead: &mut Lead,
    shard: usize,
    older_copy: bool,
) -> Result<(), Fault> {
    let mut last = OLDEST.to_owned();
    loop {
        let (mut entries, _, end) = store.entries_after(shard, &last, app.config.outbox.batch).await?;
        let Some(end) = end else { break };
        last = end;
        if older_copy {
            let put = awards::put_behind(lead.connection(), &mut entries);
            let doing = "compare the outbox with the ledger";
            in_time(doing, BATCH_HANGS_AFTER, timed(&app.metrics, doing, put)).await?;
        }
        commit(app, store, lead, &entries).await?;
    }
    match store.glance_at(shard).await?.outbox {
        0 => Ok(()),
        left => Err(Fault::new("empty the outbox", format!("{left} entries in it cannot be written"))),
    }
}

/// Writes a batch, one by one if it does not go in whole, so that one bad entry holds up no other.
async fn commit(app: &App, store: &Store, lead: &mut Lead, entries: &[Entry]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    match write_in_time(app, store, lead, entries).await {
        Ok(()) => drop(store.settle(entries).await?),
        Err(fault) if fault.away => return Err(fault),
        Err(fault) => {
            tracing::error!(%fault, entries = entries.len(), "a batch does not go in whole; trying one by one");
            one_by_one(app, store, lead, entries).await?;
        }
    }
    note(&app.metrics, entries, started, app.clock.now_ms());
    Ok(())
}

async fn one_by_one(app: &App, store: &Store, lead: &mut Lead, entries: &[Entry]) -> Result<(), Fault> {
    for entry in entries {
        let one = std::slice::from_ref(entry);
        match write_in_time(app, store, lead, one).await {
            Ok(()) => drop(store.settle(one).await?),
            Err(fault) if fault.away => return Err(fault),
            Err(fault) => {
                tracing::error!(%fault, stream_id = entry.stream_id, "an entry stays in the outbox")
            }
        }
    }
    Ok(())
}

async fn write_in_time(app: &App, store: &Store, lead: &mut Lead, entries: &[Entry]) -> Result<(), Fault> {
    let doing = "write the ledger";
    let spans = traced::begin(app, entries);
    let writing =
        timed(&app.metrics, doing, write(lead.connection(), &app.receipts, store.shard_count(), entries));
    let written = in_time(doing, BATCH_HANGS_AFTER, writing).await;
    traced::end(spans, &written);
    written
}

fn note(metrics: &Metrics, entries: &[Entry], started: Instant, now_ms: i64) {
    metrics.ledger_batch(entries.len(), started.elapsed());
    if let Some(oldest_ms) = entries.iter().map(|it| it.at_ms).min() {
        metrics.ledger_lag(Duration::from_millis(now_ms.saturating_sub(oldest_ms).max(0) as u64));
    }
}
