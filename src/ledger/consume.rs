//! The outbox becomes rows. One node at a time has the lead: it reads from the oldest entry on, writes a batch to Postgres and
//! only then takes it out. Whatever fails begins anew: entries leave the outbox by being committed, and in no other way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::awards;
use super::commit::{BATCH_HANGS_AFTER, commit};
use super::database::{in_time, timed};
use super::leader::LeaderLock;
use super::letters::tend;
use super::open::open;
use crate::action::AckPolicy;
use crate::app::App;
use crate::error::Fault;
use crate::store::{OLDEST, Store};

/// How long one read waits for entries; also how long a stop may take, and a sign of life that others look for.
const BLOCK_MS: u64 = 500;
/// After a fault, before the next try.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the leader looks whether the board is open.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often entries are tried again that stayed in the outbox because too many in a row could not be written.
const REWIND_EVERY: Duration = Duration::from_secs(30);

/// Waits for the lead and consumes, until `stop`.
pub async fn consume_forever(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let led = tokio::select! {
            leader = LeaderLock::take(&app.database) => leader,
            () = stop.cancelled() => return,
        };
        let led = match led {
            Ok(leader) => {
                note_leader(&app, true);
                let consumed = consume(&app, leader, &stop).await;
                note_leader(&app, false);
                consumed
            }
            Err(fault) => Err(fault),
        };
        let Err(fault) = led else {
            tracing::info!("ledger leadership released");
            return;
        };
        tracing::warn!(%fault, "ledger leadership lost or out of reach, retrying");
        tokio::select! { () = tokio::time::sleep(PAUSE) => {}, () = stop.cancelled() => {} }
    }
}

fn note_leader(app: &App, has: bool) {
    if has {
        tracing::info!("ledger leader elected");
    }
    app.health.set_leader(has);
    app.metrics.ledger_leader.set(has.into());
}

async fn consume(app: &App, mut leader: LeaderLock, stop: &CancellationToken) -> Result<(), Fault> {
    let outbox = &app.config.outbox;
    let mut reader = app.store.outbox_reader().await?;
    let lingers = linger(app);
    let (mut looked, mut rewound) = (None::<Instant>, Instant::now());
    while !stop.is_cancelled() {
        if looked.is_none_or(|it| it.elapsed() > LOOK_EVERY) {
            looked = Some(Instant::now());
            open(app, &mut leader, &mut reader).await?;
            // They hold up nobody else's entries; a lead that is lost shows below.
            if let Err(fault) = tend(app, &mut leader).await {
                tracing::warn!(%fault, "dead letters are not looked after");
            }
            if rewound.elapsed() > REWIND_EVERY {
                rewound = Instant::now();
                reader.rewind();
            }
        }
        reader.revive(&app.store).await;
        let share = outbox.batch.div_ceil(app.store.shard_count());
        let (entries, unread) = reader.read(share, BLOCK_MS).await?;
        if entries.is_empty() {
            leader.beat(&app.metrics).await?;
        }
        commit(app, &app.store, &mut leader, &entries, &unread).await?;
        if !entries.is_empty() && entries.len() < share {
            tokio::time::sleep(lingers).await;
        }
    }
    leader.release().await;
    Ok(())
}

/// How long a batch that is not full waits for more. What a batch costs besides its rows is shared by them, and an attempt that is redeemed
/// meanwhile is one row written once. Where players wait for the commit, they wait less.
fn linger(app: &App) -> Duration {
    let is_waited_for = app.catalogue.all().iter().any(|it| it.acknowledge == AckPolicy::Ledger);
    Duration::from_millis(app.config.outbox.linger_ms) / if is_waited_for { 3 } else { 1 }
}

/// Consumes a shard's outbox until nothing is left, so that the ledger has everything. The shard must be closed. What an older copy has
/// may come after what the ledger went on with. `store` is the node's own, or the one that it takes over from.
///
/// # Errors
/// A store is away; or entries are left: too many in a row could not be written.
pub async fn drain(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    shard: usize,
    older_copy: bool,
) -> Result<(), Fault> {
    let mut last = OLDEST.to_owned();
    loop {
        let (mut entries, unread, end) = store.entries_after(shard, &last, app.config.outbox.batch).await?;
        let Some(end) = end else { break };
        last = end;
        if older_copy {
            let put = awards::put_behind(leader.connection(), &mut entries);
            let doing = "compare the outbox with the ledger";
            in_time(doing, BATCH_HANGS_AFTER, timed(&app.metrics, doing, put)).await?;
        }
        commit(app, store, leader, &entries, &unread).await?;
    }
    match store.poll_shard_state(shard).await?.outbox {
        0 => Ok(()),
        left => {
            let told = format!(
                "{left} entries are left in it: too many in a row cannot be written, the log says why"
            );
            Err(Fault::new("empty the outbox", told))
        }
    }
}
