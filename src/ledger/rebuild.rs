//! Redis from the ledger. The board is closed meanwhile, so that no award is made on a total that is not there yet; reads and
//! sockets go on with what they have.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::best::{best, missing};
use super::database::{HANGS_AFTER, in_time, timed};
use super::leader::LeaderLock;
use super::limits::load_limits;
use super::open::{show, wait_open};
use super::used::load_used;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Load, Mended, Standing};

/// How long an operator waits for the ledger to say who is missing.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Totals a round trip.
const LOAD_BATCH: i64 = 5000;

/// Rebuilds the board while nodes serve: whoever has the ledger's lead does it. `progress` hears how many users are loaded. Returns
/// their number.
///
/// # Errors
/// A store is away, and the board stays closed until it is back; or the outbox cannot be written, and the board is as before.
pub async fn rebuild(app: &App, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let mut before = Vec::new();
    for shard in 0..app.store.shard_count() {
        before.push(app.store.poll_shard_state(shard).await?);
    }
    app.store.close_board().await?;
    let rebuilt = wait_open(app, progress).await;
    if let Err(fault) = &rebuilt
        && !fault.retryable
    {
        // Nothing was changed yet: a board that was open is as good as before.
        let window_ms = app.config.live.publish_interval_ms;
        for (shard, it) in before.iter().enumerate().filter(|(_, it)| it.open) {
            let reopened = app.store.open_board(shard, &it.run, it.epoch, it.hlc_us, window_ms, None).await?;
            tracing::warn!(reopened = reopened.is_some(), "the rebuild was given up");
        }
    }
    rebuilt
}

/// Loads some shards, which must be closed, each with whether it is an older copy: of one what may have been used up since goes.
/// Returns the number of users.
///
/// # Errors
/// A store is away, or the lead is lost: the board stays closed, and the next load begins anew.
pub async fn load(app: &App, leader: &mut LeaderLock, loads: &[(Load<'_>, bool)]) -> Result<u64, Fault> {
    for (begun, older_copy) in loads {
        let mut cursor = 0;
        loop {
            leader.beat(&app.metrics).await?;
            cursor = begun.empty_some(cursor, *older_copy).await?;
            if cursor == 0 {
                break;
            }
        }
    }
    let loaded = load_totals(app, leader, loads).await?;
    load_limits(app, leader, loads).await?;
    load_used(app, leader, loads).await?;
    for (begun, _) in loads {
        let best = best(app, leader.connection(), begun.shard()).await?;
        app.store.refill_top(begun.shard(), &best, app.config.live.publish_interval_ms, Some(begun)).await?;
    }
    Ok(loaded)
}

/// Page by page: each is a sign of life, which others look for.
async fn load_totals(app: &App, leader: &mut LeaderLock, loads: &[(Load<'_>, bool)]) -> Result<u64, Fault> {
    let (mut loaded, mut after) = (0, Uuid::nil());
    loop {
        let page = sqlx::query(STANDINGS).bind(after).bind(LOAD_BATCH).fetch_all(leader.connection());
        let doing = "read totals";
        let rows = in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, page)).await?;
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
        for (begun, _) in loads {
            begun.totals(&standings).await?;
        }
    }
}

/// Looks once a second whether somebody is missing among the ten; the ledger says who, as soon as it has their newest award.
pub async fn keep_whole_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for shard in 0..app.store.shard_count() {
            let Ok(look) = app.store.poll_shard_state(shard).await else { continue };
            if look.open
                && !look.whole
                && let Err(fault) = complete(&app, shard).await
            {
                tracing::warn!(%fault, "somebody is missing among the ten; trying again in a second");
            }
        }
    }
}

/// Looks for whoever is missing among a shard's ten. Returns whether nobody is any more.
async fn complete(app: &App, shard: usize) -> Result<bool, Fault> {
    let candidates = missing(app, shard).await?;
    let mended = app.store.refill_top(shard, &candidates, app.config.live.publish_interval_ms, None).await?;
    show(app, mended.flush_due_ms).await?;
    Ok(mended.whole)
}

/// After a user's place has changed: publishes a board that was held back, and waits a moment for the ledger if somebody is missing
/// among the ten of the user's shard. What takes longer
/// is left to `keep_whole_forever`.
///
/// # Errors
/// A store is away; the next look finds the board.
pub async fn finish(app: &App, user: Uuid, mended: Mended) -> Result<(), Fault> {
    show(app, mended.flush_due_ms).await?;
    let mut whole = mended.whole;
    for _ in 0..TRIES {
        if whole {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        whole = complete(app, app.store.shard_number(user)).await?;
    }
    Ok(())
}

/// What Redis has to hold of each user.
const STANDINGS: &str = "
    SELECT id, score, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined, CASE WHEN quarantined_at IS NULL THEN 0
           ELSE (SELECT coalesce(sum(points_earned), 0) FROM score_history WHERE user_id = users.id AND held)::bigint END AS held
    FROM users WHERE id > $1 AND (score > 0 OR banned_at IS NOT NULL OR quarantined_at IS NOT NULL) ORDER BY id LIMIT $2";
