//! Loads open periods again on request. The leader's follower does it: it alone applies entries and corrections, so it applies none between
//! the ledger's snapshot and the moment when the loaded entries are shown, and the load ends under any load of awards.

use std::time::{Duration, Instant};

use super::periods::OpenPeriod;
use super::verify::read_open_of;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;

/// How long no entry may be loaded before a rebuild gives up.
const STUCK: Duration = Duration::from_secs(30);

/// Asks the leader to load the open periods of all boards, or of one, again. They stay readable. Returns the periods.
///
/// # Errors
/// A store is unavailable.
pub async fn request_loads(ledger: &Ledger, board: Option<&str>) -> Result<Vec<OpenPeriod>, Fault> {
    let periods = read_open_of(ledger, board).await?;
    for period in &periods {
        ledger.store.request_entries_load(period.key()).await?;
    }
    Ok(periods)
}

/// Rebuilds the open periods of a board, with the boards of all values that it is split by, while nodes serve; the leader does the work.
/// `progress` receives the number of entries loaded so far. Returns the number of players.
///
/// # Errors
/// A store is unavailable, the board has no open period, there is no leader, or it makes no progress for half a minute. Then the periods are
/// loaded as soon as there is a leader that can.
pub async fn rebuild_board(ledger: &Ledger, board: &str, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let fault = |problem: &str| Fault::new("rebuild_board", format!("board {board}: {problem}"));
    let periods = request_loads(ledger, Some(board)).await?;
    if periods.is_empty() {
        return Err(fault("it has no open period"));
    }
    let (mut loaded_before, mut changed) = (0, Instant::now());
    loop {
        let (mut loaded, mut players, mut is_loaded) = (0, 0, true);
        for period in &periods {
            if ledger.store.entries_seq(period.key()).await?.is_some() {
                let (entries, _) = ledger.store.count_entries(period.key(), None).await?;
                (loaded, players) = (loaded + entries, players + entries);
            } else {
                loaded += ledger.store.entries_loading(period.key()).await?.unwrap_or_default();
                is_loaded = false;
            }
        }
        progress(loaded);
        if is_loaded {
            return Ok(players);
        }
        if loaded != loaded_before {
            (loaded_before, changed) = (loaded, Instant::now());
        }
        // Waits a second for the lock.
        if LeaderLock::try_take(&ledger.database).await?.is_some() {
            return Err(fault("there is no ledger leader; the next one loads it"));
        }
        if changed.elapsed() > STUCK {
            return Err(fault("the ledger leader does not load it; its log has the reason"));
        }
        if read_open_of(ledger, Some(board)).await?.len() < periods.len() {
            return Err(fault("a period was closed in the meantime; run the command again"));
        }
    }
}
