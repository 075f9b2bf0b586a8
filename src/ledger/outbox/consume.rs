//! Reads the outbox and writes it to the ledger. One node at a time is the leader: it reads from the oldest entry on, writes a batch to
//! Postgres and only then removes it. After an error it starts over: entries leave the outbox only after their commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::action::AckPolicy;
use crate::db::{timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::outbox::awards;
use crate::ledger::outbox::commit::{BATCH_TIMEOUT, commit_batch};
use crate::ledger::outbox::dead_letters;
use crate::ledger::restore::board_opening::open_shards;
use crate::store::{OLDEST, Store};

/// How long one read blocks waiting for entries. Also the longest delay of a stop, and the interval of the leader's heartbeat when idle.
const BLOCK_MS: u64 = 500;
/// Between an error and the next attempt.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often the leader checks whether the board is open.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often entries that stayed in the outbox after too many failures are tried again.
const REWIND_INTERVAL: Duration = Duration::from_secs(30);

/// Waits for the leadership and consumes the outbox, until `stop`.
pub async fn consume_forever(ledger: Arc<Ledger>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let leader = tokio::select! {
            leader = LeaderLock::take(&ledger.database) => leader,
            () = stop.cancelled() => return,
        };
        let result = match leader {
            Ok(leader) => {
                set_leader(&ledger, true);
                let consumed = consume(&ledger, leader, &stop).await;
                set_leader(&ledger, false);
                consumed
            }
            Err(fault) => Err(fault),
        };
        let Err(fault) = result else {
            tracing::info!("ledger leadership released");
            return;
        };
        tracing::warn!(%fault, runbook = "LaurelNoLeader", "ledger leadership lost, retrying");
        tokio::select! { () = tokio::time::sleep(RETRY_DELAY) => {}, () = stop.cancelled() => {} }
    }
}

fn set_leader(ledger: &Ledger, is_leader: bool) {
    if is_leader {
        tracing::info!("ledger leader elected");
    }
    ledger.health.set_leader(is_leader);
    ledger.metrics.ledger_leader.set(is_leader.into());
}

async fn consume(ledger: &Ledger, mut leader: LeaderLock, stop: &CancellationToken) -> Result<(), Fault> {
    let outbox = &ledger.config.outbox;
    let mut reader = ledger.store.outbox_reader().await?;
    let linger = linger(ledger);
    let (mut checked, mut rewound) = (None::<Instant>, Instant::now());
    while !stop.is_cancelled() {
        if checked.is_none_or(|at| at.elapsed() > CHECK_INTERVAL) {
            checked = Some(Instant::now());
            open_shards(ledger, &mut leader, &mut reader).await?;
            // Failures here must not hold up the outbox. A lost leadership shows below.
            if let Err(fault) = dead_letters::process(ledger, &mut leader).await {
                tracing::warn!(%fault, "processing dead letters failed, retrying");
            }
            if rewound.elapsed() > REWIND_INTERVAL {
                rewound = Instant::now();
                reader.rewind();
            }
        }
        reader.reconnect_failed(&ledger.store).await;
        let batch_per_shard = outbox.batch.div_ceil(ledger.store.shard_count());
        let (entries, unread) = reader.read(batch_per_shard, BLOCK_MS).await?;
        if entries.is_empty() {
            leader.beat(&ledger.metrics).await?;
        }
        commit_batch(ledger, &ledger.store, &mut leader, &entries, &unread).await?;
        if !entries.is_empty() && entries.len() < batch_per_shard {
            tokio::time::sleep(linger).await;
        }
    }
    leader.release().await;
    Ok(())
}

/// How long to wait for more entries after a partial batch. A larger batch shares its fixed cost, and an attempt that is redeemed in the
/// meantime is one row, written once. A third of the configured time if players wait for the commit.
fn linger(ledger: &Ledger) -> Duration {
    let players_wait = ledger.catalogue.all().iter().any(|action| action.acknowledge == AckPolicy::Ledger);
    Duration::from_millis(ledger.config.outbox.linger_ms) / if players_wait { 3 } else { 1 }
}

/// Writes all entries of a closed shard's outbox to the ledger. Entries of an older copy of Redis are moved behind what the ledger has.
/// `store` is the node's own, or the old one during a reshard.
///
/// # Errors
/// A store is unavailable; or entries are left because too many in a row could not be written.
pub async fn drain(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    shard: usize,
    is_older_copy: bool,
) -> Result<(), Fault> {
    let mut last = OLDEST.to_owned();
    loop {
        let (mut entries, unread, end) =
            store.entries_after(shard, &last, ledger.config.outbox.batch).await?;
        let Some(end) = end else { break };
        last = end;
        if is_older_copy {
            let moved = awards::move_behind_ledger(leader.connection(), &mut entries);
            let query_name = "compare_outbox_with_ledger";
            with_timeout(query_name, BATCH_TIMEOUT, timed(&ledger.metrics, query_name, moved)).await?;
        }
        commit_batch(ledger, store, leader, &entries, &unread).await?;
    }
    match store.poll_shard_state(shard).await?.outbox {
        0 => Ok(()),
        left => {
            let problem = format!(
                "{left} entries are left: too many in a row cannot be written, see the log for the reason"
            );
            Err(Fault::new("drain_outbox", problem))
        }
    }
}
