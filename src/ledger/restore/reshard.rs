//! Changes the number of Redis shards, or moves the board from one Redis to a cluster: closes the old board, writes its remaining entries
//! to the ledger, and loads the new board from there. The ledger itself has no shards and stays as it is.

use crate::config::Secret;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::outbox::consume::drain;
use crate::ledger::restore::board_opening::open_shards;
use crate::ledger::restore::rebuild::rebuild;
use crate::ledger::restore::shard_heads::{ShardHead, read_for, shard_count, write_shard_count};
use crate::store::Store;

const DOING: &str = "reshard_board";

/// The Redis of a board with another number of shards.
#[derive(Clone, Default)]
pub struct OldBoard {
    /// Its URL. None if it is the configured Redis.
    pub url: Option<String>,
    /// It is gone, with everything that was not in the ledger yet.
    pub lost: bool,
}

/// Loads the board from the ledger while nodes serve, with the configured number of shards. If that number changes, nodes with the old
/// configuration take no more awards, and nodes with the new one start to. `progress` receives the number of users loaded so far.
/// Returns the number of users.
///
/// # Errors
/// A store is unavailable, or the old board is not where `old` says; then nothing was changed. An interrupted run is completed by the next
/// leader, or by running the command again.
pub async fn rebuild_or_reshard(
    ledger: &Ledger,
    old: &OldBoard,
    progress: impl Fn(u64),
) -> Result<u64, Fault> {
    let shards = ledger.store.shard_count();
    match shard_count(ledger).await? {
        Some(actual) if actual != shards => reshard(ledger, old, actual).await?,
        _ if old.url.is_some() => {
            let problem = format!(
                "the board has {shards} shards already: use --from only for a board with another number of shards"
            );
            return Err(Fault::new(DOING, problem));
        }
        _ => return rebuild(ledger, progress).await,
    }
    let loaded = ledger.store.poll_state().await?.loaded;
    progress(loaded);
    Ok(loaded)
}

async fn reshard(ledger: &Ledger, old: &OldBoard, old_shards: usize) -> Result<(), Fault> {
    let old_store = match old.lost {
        true => None,
        false => Some(connect_old(ledger, old, old_shards).await?),
    };
    tracing::info!(from = old_shards, to = ledger.store.shard_count(), "changing the number of shards");
    let mut leader = LeaderLock::seize(&ledger.database).await?;
    let Ok(heads) = read_for(ledger, &mut leader, old_shards).await? else {
        return Err(Fault::new(DOING, "another command has just changed it: try again"));
    };
    if let Some(store) = &old_store {
        close(ledger, store, &mut leader, &heads).await?;
    }
    // From here on nodes with the old configuration leave the board alone, and a leader with the new one could take over.
    write_shard_count(ledger, &mut leader, ledger.store.shard_count()).await?;
    let mut reader = ledger.store.outbox_reader().await?;
    open_shards(ledger, &mut leader, &mut reader).await?;
    if let Some(store) = old_store.filter(|_| old.url.is_none()) {
        let mut position = (0, 0);
        while let Some(next) = store.remove_some(position).await? {
            position = next;
            // Without the leadership another command may have changed the number back, and these keys would be in use.
            leader.beat(&ledger.metrics).await?;
        }
    }
    leader.release().await;
    Ok(())
}

async fn connect_old(ledger: &Ledger, old: &OldBoard, old_shards: usize) -> Result<Store, Fault> {
    let mut config = ledger.config.redis.clone();
    config.shards = old_shards as u32;
    if let Some(url) = &old.url {
        config.url = Secret::from(url.clone());
    }
    if old_shards == 1 && config.url.expose().contains("-cluster://") {
        return Err(old_board_not_found(old_shards));
    }
    Store::connect(&config, ledger.metrics.clone()).await
}

fn old_board_not_found(old_shards: usize) -> Fault {
    let problem = format!(
        "found no board of {old_shards} shards there: name its Redis with --from, or use --lost if it is gone"
    );
    Fault::new(DOING, problem)
}

/// Closes the old board and writes its remaining entries to the ledger.
async fn close(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    heads: &[ShardHead],
) -> Result<(), Fault> {
    let mut were_open = Vec::new();
    for (shard, head) in heads.iter().enumerate() {
        let state = store.poll_shard_state(shard).await?;
        // A copy that was left behind is not the board. The real one may be open somewhere else.
        if state.epoch < head.epoch.max(0) {
            return Err(old_board_not_found(heads.len()));
        }
        were_open.push(state.open);
    }
    for (shard, was_open) in were_open.into_iter().enumerate() {
        // Nobody opens a board while a load of it is in progress.
        store.begin_load(shard).await?;
        // A board that was closed may lack entries that the ledger has.
        drain(ledger, store, leader, shard, !was_open).await?;
    }
    Ok(())
}
