//! A board that is split otherwise from now on, or that moves from one Redis to a cluster: the old board is closed, what it still has
//! goes into the ledger, and the new one is loaded from there. The ledger knows no shards, so nothing of it changes.

use super::consume::drain;
use super::heads::{ShardHead, layout, read_of, write_layout};
use super::leader::LeaderLock;
use super::open::open;
use super::rebuild::rebuild;
use crate::app::App;
use crate::config::Secret;
use crate::error::Fault;
use crate::store::Store;

const DOING: &str = "split the board";

/// Where a board is that was split otherwise.
#[derive(Clone, Default)]
pub struct From {
    /// The URL of its Redis; none if it is the same.
    pub url: Option<String>,
    /// Its Redis is lost: what it had not written to the ledger is, too.
    pub lost: bool,
}

/// Loads the board from the ledger while nodes serve, split as the settings say. If it was split otherwise, nodes with the old settings take
/// no awards from then on, and those with the new ones, which may have waited for it, do. `progress` hears how many users are
/// loaded. Returns their number.
///
/// # Errors
/// A store is away, or the old board is not where it is said to be: then nothing was changed. What is cut short in the middle is
/// ended by the next leader, or by the same command again.
pub async fn rebuild_as_told(app: &App, from: &From, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let shards = app.store.shard_count();
    match layout(app).await? {
        Some(split) if split != shards => reshard(app, from, split).await?,
        _ if from.url.is_some() => {
            let told = format!(
                "it is split over {shards} shards already: --from is for a board that is split otherwise"
            );
            return Err(Fault::new(DOING, told));
        }
        _ => return rebuild(app, progress).await,
    }
    let loaded = app.store.poll_state().await?.loaded;
    progress(loaded);
    Ok(loaded)
}

async fn reshard(app: &App, from: &From, split: usize) -> Result<(), Fault> {
    let old = match from.lost {
        true => None,
        false => Some(old_store(app, from, split).await?),
    };
    tracing::info!(from = split, to = app.store.shard_count(), "the board is split otherwise");
    let mut leader = LeaderLock::seize(&app.database).await?;
    let Ok(heads) = read_of(app, &mut leader, split).await? else {
        return Err(Fault::new(DOING, "somebody else has just split it otherwise: try again"));
    };
    if let Some(old) = &old {
        close(app, old, &mut leader, &heads).await?;
    }
    // From here on nodes with the old settings leave the board alone, and a leader with the new ones would go on.
    write_layout(app, &mut leader, app.store.shard_count()).await?;
    let mut reader = app.store.outbox_reader().await?;
    open(app, &mut leader, &mut reader).await?;
    if let Some(old) = old.filter(|_| from.url.is_none()) {
        let mut at = (0, 0);
        while let Some(next) = old.remove_some(at).await? {
            at = next;
            // Without the lead somebody may have split it so again, and what is there would be in use.
            leader.beat(&app.metrics).await?;
        }
    }
    leader.release().await;
    Ok(())
}

/// The Redis of the old board, which has to have one.
async fn old_store(app: &App, from: &From, split: usize) -> Result<Store, Fault> {
    let mut config = app.config.redis.clone();
    config.shards = split as u32;
    if let Some(url) = &from.url {
        config.url = Secret::from(url.clone());
    }
    if split == 1 && config.url.expose().contains("-cluster://") {
        return Err(nowhere(split));
    }
    Store::connect(&config, app.metrics.clone()).await
}

fn nowhere(split: usize) -> Fault {
    let told = format!(
        "the board of {split} shards is not there: --from names its Redis, and --lost says that it is gone"
    );
    Fault::new(DOING, told)
}

/// Closes the old board, and writes what it still has.
async fn close(app: &App, old: &Store, leader: &mut LeaderLock, heads: &[ShardHead]) -> Result<(), Fault> {
    let mut open = Vec::new();
    for (shard, head) in heads.iter().enumerate() {
        let look = old.poll_shard_state(shard).await?;
        // A copy that was left behind is not the board, which may be open elsewhere.
        if look.epoch < head.epoch.max(0) {
            return Err(nowhere(heads.len()));
        }
        open.push(look.open);
    }
    for (shard, open) in open.into_iter().enumerate() {
        // Nobody confirms a board that somebody loads, however late.
        old.begin_load(shard).await?;
        // One that was not open may lack what the ledger has.
        drain(app, old, leader, shard, !open).await?;
    }
    Ok(())
}
