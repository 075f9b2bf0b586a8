//! Opens shards of the board. Only the leader does, and only after comparing this run of Redis with the ledger. A shard that has everything
//! is opened; one that was emptied, is an older copy or was left behind is loaded from the ledger first.

use std::time::Duration;

use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::boards::request_loads;
use crate::ledger::leader::LeaderLock;
use crate::ledger::outbox::consume::drain;
use crate::ledger::outbox::dead_letters;
use crate::ledger::restore::rebuild;
use crate::ledger::restore::shard_heads::{self, ShardHead};
use crate::store::{Load, OutboxReader, ShardState};

/// Between two checks of a board that another node is opening.
const PAUSE: Duration = Duration::from_millis(100);

/// Checks without progress before `await_board` gives up. Each takes about a second.
const MAX_TRIES: u32 = 30;

/// Why a shard has to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadReason {
    /// No epoch: Redis lost its data, a load was interrupted, or an admin requested a rebuild.
    EmptyRedis,
    /// A later epoch exists: this Redis was cut off, and nodes continued with another one.
    LeftBehind,
    /// The ledger or this node has a newer state: Redis was restored, or failed over, with older data.
    OlderCopy,
    /// A load was interrupted.
    UnfinishedLoad,
}

impl LoadReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::EmptyRedis => "empty_redis",
            Self::LeftBehind => "left_behind",
            Self::OlderCopy => "older_copy",
            Self::UnfinishedLoad => "unfinished_load",
        }
    }
}

/// A shard that has to be opened.
struct ClosedShard {
    shard: usize,
    state: ShardState,
    head: ShardHead,
    /// None if it has everything that the ledger has.
    reason: Option<LoadReason>,
}

impl ClosedShard {
    fn new(ledger: &Ledger, shard: usize, state: ShardState, head: ShardHead) -> Self {
        let latest = head.epoch.max(ledger.store.latest_position(shard).epoch);
        let reason = match state.epoch {
            ..0 => Some(LoadReason::EmptyRedis),
            _ if state.loading => Some(LoadReason::UnfinishedLoad),
            epoch if epoch < latest => Some(LoadReason::LeftBehind),
            _ if state.hlc_us < head.hlc_us || state.behind => Some(LoadReason::OlderCopy),
            _ => None,
        };
        Self { shard, state, head, reason }
    }

    /// True if its data may be outdated rather than missing.
    fn is_older_copy(&self) -> bool {
        self.reason
            .is_some_and(|reason| reason != LoadReason::EmptyRedis || self.state.hlc_us < self.head.hlc_us)
    }
}

/// Opens the closed shards, loading those that lack something. Closes and loads shards that are open but behind the ledger. Leaves alone
/// shards that are open in their latest epoch, and, on a board of several shards, those that do not answer.
///
/// # Errors
/// A store is unavailable, or the number of shards differs from the configured one. Closed shards stay closed.
pub async fn open_shards(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    reader: &mut OutboxReader,
) -> Result<(), Fault> {
    let shards = ledger.store.shard_count();
    let heads = match shard_heads::read_for(ledger, leader, shards).await? {
        Ok(heads) => heads,
        Err(actual) => {
            // The reshard may not have reached this Redis. Nobody reads its outbox any more, so close it.
            for shard in 0..shards {
                ledger.store.suspend(shard).await?;
            }
            return Err(shard_heads::wrong_shard_count(actual, shards));
        }
    };
    let mut closed = Vec::new();
    for (shard, head) in heads.into_iter().enumerate() {
        let state = match ledger.store.poll_shard_state(shard).await {
            Ok(state) => state,
            Err(fault) if shards > 1 => {
                tracing::warn!(shard, %fault, "redis shard unavailable");
                continue;
            }
            Err(fault) => return Err(fault),
        };
        // The ledger was read first and is written from Redis, so an open board that is behind it is an older copy.
        let is_older = state.hlc_us < head.hlc_us;
        if !state.open || is_older || state.epoch < head.epoch.max(ledger.store.latest_position(shard).epoch)
        {
            closed.push(ClosedShard::new(ledger, shard, state, head));
        } else if head.epoch < state.epoch {
            shard_heads::write_epoch(ledger, leader, shard, state.epoch).await?;
        }
    }
    if closed.is_empty() {
        return Ok(());
    }
    let (outdated, complete): (Vec<ClosedShard>, Vec<ClosedShard>) =
        closed.into_iter().partition(|shard| shard.reason.is_some());
    // Complete shards do not wait for the loads of others.
    mark_open(ledger, leader, &complete, &[]).await?;
    let loads = load(ledger, leader, &outdated).await?;
    reader.rewind();
    mark_open(ledger, leader, &outdated, &loads).await
}

/// Loads all shards in one pass over the users.
async fn load<'a>(
    ledger: &'a Ledger,
    leader: &mut LeaderLock,
    outdated: &[ClosedShard],
) -> Result<Vec<Load<'a>>, Fault> {
    let mut loads = Vec::new();
    for closed in outdated {
        let (shard, epoch, latest) = (closed.shard, closed.state.epoch, closed.head.epoch);
        let reason = closed.reason.map(LoadReason::as_str);
        if closed.head.hlc_us == 0 {
            // A first start: the ledger has no awards.
            tracing::info!(reason, shard, "opening an empty board");
        } else {
            tracing::warn!(reason, shard, epoch, latest, "loading board from ledger");
        }
        ledger.metrics.rebuilds.inc();
        ledger.store.suspend(shard).await?;
        // If the ledger cannot be written, the board stays closed with its data intact, and an admin's rebuild fails.
        drain(ledger, &ledger.store, leader, shard, closed.is_older_copy()).await?;
    }
    for closed in outdated {
        loads.push((ledger.store.begin_load(closed.shard).await?, closed.is_older_copy()));
    }
    if !loads.is_empty() {
        // The boards may lack corrections that were made since: entries of players who are banned now, or voided awards.
        if let Err(fault) = request_loads(ledger, None).await {
            tracing::warn!(%fault, runbook = "LaurelLedgerMismatch", "boards are not loaded again");
        }
        let users = rebuild::load(ledger, leader, &loads).await?;
        let shards: Vec<usize> = outdated.iter().map(|it| it.shard).collect();
        dead_letters::mark_lost(ledger, leader, &shards).await?;
        tracing::info!(users, "board loaded from ledger");
    }
    Ok(loads.into_iter().map(|(load, _)| load).collect())
}

/// Opens shards in a new epoch.
async fn mark_open(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    closed: &[ClosedShard],
    loads: &[Load<'_>],
) -> Result<(), Fault> {
    // The new version has to be above everything this node has shown and everything in the ledger.
    let heads = shard_heads::read(ledger, leader).await?;
    let mut due_ms = 0;
    for ClosedShard { shard, state, head, reason } in closed {
        if reason.is_none() {
            tracing::info!(run_id = state.run, shard, "new redis run matches the ledger");
        }
        let seen = ledger.store.latest_position(*shard);
        let newest = heads[*shard].hlc_us.max(ledger.hub.newest().version).max(seen.hlc_us);
        let epoch = head.epoch.max(seen.epoch).max(state.epoch) + 1;
        let load = loads.iter().find(|load| load.shard() == *shard);
        let window_ms = ledger.config.live.publish_interval_ms;
        let confirmed = ledger.store.open_board(*shard, &state.run, epoch, newest, window_ms, load).await?;
        let Some(due) = confirmed else {
            return Err(Fault::retryable(
                "open_board",
                "Redis restarted in the meantime, or another node is opening the board",
            ));
        };
        shard_heads::write_epoch(ledger, leader, *shard, epoch).await?;
        due_ms = due_ms.max(due);
    }
    publish_pending(ledger, due_ms).await
}

/// Waits until the board is open. Opens it if there is no leader. `progress` receives the number of users loaded so far. Returns the number
/// of users.
///
/// # Errors
/// A store is unavailable, or the leader makes no progress for half a minute.
pub async fn await_board(ledger: &Ledger, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let (mut previous, mut tries) = (None, 0);
    loop {
        let state = ledger.store.poll_state().await?;
        progress(state.loaded);
        if state.open {
            return Ok(state.loaded);
        }
        let current = Some((state.outbox, state.loaded));
        let is_stuck = state.outbox > 0 && previous == current;
        tries = if is_stuck { tries + 1 } else { 0 };
        previous = current;
        if tries > MAX_TRIES {
            // A leader that cannot write gives up the lock. This one keeps it but does not see these entries.
            let problem = format!(
                "the ledger leader does not write the {} entries in the outbox: is it connected to another Redis?",
                state.outbox
            );
            return Err(Fault::new("open_board", problem));
        }
        if let Some(mut leader) = LeaderLock::try_take(&ledger.database).await? {
            let mut reader = ledger.store.outbox_reader().await?;
            open_shards(ledger, &mut leader, &mut reader).await?;
            leader.release().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Publishes a board whose publication was throttled, once it is due.
///
/// # Errors
/// Redis is unavailable. The next poll publishes the board.
pub async fn publish_pending(ledger: &Ledger, mut due_ms: u64) -> Result<(), Fault> {
    while due_ms > 0 {
        tokio::time::sleep(Duration::from_millis(due_ms)).await;
        due_ms = ledger.store.flush(ledger.config.live.publish_interval_ms).await?;
    }
    Ok(())
}
