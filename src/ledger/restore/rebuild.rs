//! Loads Redis from the ledger. The board is closed meanwhile, so no award is computed from an incomplete total. Reads and sockets keep
//! serving the last board.

use sqlx::Row;
use uuid::Uuid;

use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::restore::board_opening::await_board;
use crate::ledger::restore::limit_counters::load_limits;
use crate::ledger::restore::top_list::top_of_shard;
use crate::ledger::restore::used_proofs::load_used;
use crate::store::{Load, Standing};

/// Totals per round trip.
const BATCH: i64 = 5000;

/// Rebuilds the board while nodes serve; the leader does the work. `progress` receives the number of users loaded so far. Returns the
/// number of users.
///
/// # Errors
/// A store is unavailable, and the board stays closed until it is back; or the outbox cannot be written, and the board is as before.
pub async fn rebuild(ledger: &Ledger, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let mut before = Vec::new();
    for shard in 0..ledger.store.shard_count() {
        before.push(ledger.store.poll_shard_state(shard).await?);
    }
    ledger.store.close_board().await?;
    let rebuilt = await_board(ledger, progress).await;
    if let Err(fault) = &rebuilt
        && !fault.retryable
    {
        // Nothing was changed yet, so shards that were open can be opened again.
        let window_ms = ledger.config.live.publish_interval_ms;
        for (shard, state) in before.iter().enumerate().filter(|(_, state)| state.open) {
            let reopened = ledger
                .store
                .open_board(shard, &state.run, state.epoch, state.hlc_us, window_ms, None)
                .await?;
            tracing::warn!(shard, reopened = reopened.is_some(), "rebuild failed");
        }
    }
    rebuilt
}

/// Loads closed shards. The flag tells whether the shard is an older copy: then everything that may have been used up since is deleted.
/// Returns the number of users.
///
/// # Errors
/// A store is unavailable, or the leadership is lost. The board stays closed, and the next load starts over.
pub async fn load(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<u64, Fault> {
    for (load, is_older_copy) in loads {
        let mut cursor = 0;
        loop {
            leader.beat(&ledger.metrics).await?;
            cursor = load.empty_some(cursor, *is_older_copy).await?;
            if cursor == 0 {
                break;
            }
        }
    }
    let loaded = load_totals(ledger, leader, loads).await?;
    load_limits(ledger, leader, loads).await?;
    load_used(ledger, leader, loads).await?;
    for (load, _) in loads {
        let top = top_of_shard(ledger, leader.connection(), load.shard()).await?;
        ledger
            .store
            .refill_top(load.shard(), &top, ledger.config.live.publish_interval_ms, Some(load))
            .await?;
    }
    Ok(loaded)
}

/// Reads users in pages. Each query also serves as the leader's heartbeat.
async fn load_totals(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<u64, Fault> {
    let (mut loaded, mut after) = (0, Uuid::nil());
    loop {
        let page = sqlx::query(STANDINGS).bind(after).bind(BATCH).fetch_all(leader.connection());
        let query_name = "read_scores";
        let rows = with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, page)).await?;
        let Some(last) = rows.last() else { return Ok(loaded) };
        after = last.get("id");
        loaded += rows.len() as u64;
        let standings = rows.iter().map(|row| Standing {
            user: row.get("id"),
            total: row.get::<i64, _>("score") as u64,
            held: row.get::<i64, _>("held") as u64,
            banned: row.get("banned"),
            quarantined: row.get("quarantined"),
        });
        let standings: Vec<_> = standings.collect();
        for (load, _) in loads {
            load.totals(&standings).await?;
        }
    }
}

/// Each user's state in Redis.
const STANDINGS: &str = "
    SELECT id, score, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined, CASE WHEN quarantined_at IS NULL THEN 0
           ELSE (SELECT coalesce(sum(points_earned), 0) FROM score_history WHERE user_id = users.id AND held)::bigint END AS held
    FROM users WHERE id > $1 AND (score > 0 OR banned_at IS NOT NULL OR quarantined_at IS NOT NULL) ORDER BY id LIMIT $2";
