//! The leader's work on dead letters, once a second: it retries those that an admin wants written, and bans players who are not in Postgres
//! in Redis, so that they win no more points.

use sqlx::Row;
use uuid::Uuid;

use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::outbox::commit::{WriteError, write_dead_letter};
use crate::ledger::restore::board_opening::publish_pending;
use crate::store::{BoardId, Entry, Restrict};

/// Dead letters retried per call.
const BATCH: i64 = 100;

/// Updates the metric, retries requested dead letters and bans unknown players.
///
/// # Errors
/// Postgres is unavailable, or the leadership is lost.
pub async fn process(ledger: &Ledger, leader: &mut LeaderLock) -> Result<(), Fault> {
    let query_name = "count_dead_letters";
    let counts = sqlx::query(
        "SELECT count(*) AS open, count(*) FILTER (WHERE state = 'retrying') AS retrying,
                count(*) FILTER (WHERE reason = 'unknown_user') AS unknown
         FROM dead_letters WHERE state IN ('waiting', 'retrying')",
    );
    let counts = timed(&ledger.metrics, query_name, counts.fetch_one(leader.connection()));
    let row = with_timeout(query_name, ANSWER_TIMEOUT, counts).await?;
    ledger.metrics.dead_letters_waiting.set(row.get("open"));
    if row.get::<i64, _>("retrying") > 0 {
        retry_requested(ledger, leader).await?;
    }
    if row.get::<i64, _>("unknown") > 0 {
        ban_unknown_users(ledger, leader).await?;
    }
    Ok(())
}

/// Waits until all requested retries are done. Does them itself if no node leads.
///
/// # Errors
/// A store is unavailable.
pub async fn retry_dead_letters(ledger: &Ledger) -> Result<(), Fault> {
    loop {
        let query_name = "find_retryable_dead_letters";
        let sql = "SELECT EXISTS (SELECT FROM dead_letters WHERE state = 'retrying')";
        let exists = timed(&ledger.metrics, query_name, sqlx::query_scalar(sql).fetch_one(&ledger.database));
        if !with_timeout::<bool>(query_name, ANSWER_TIMEOUT, exists).await? {
            return Ok(());
        }
        // Waits a second for the lock. In that time the leader, if there is one, does the retries.
        if let Some(mut leader) = LeaderLock::try_take(&ledger.database).await? {
            process(ledger, &mut leader).await?;
            leader.release().await;
        }
    }
}

/// Notes that Redis no longer contains the effects of the dead letters of these shards, which were just loaded from the ledger.
///
/// # Errors
/// Postgres is unavailable.
pub async fn mark_lost(ledger: &Ledger, leader: &mut LeaderLock, shards: &[usize]) -> Result<(), Fault> {
    let query_name = "mark_lost_dead_letters";
    let users = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM dead_letters
         WHERE state IN ('waiting', 'retrying') AND in_redis AND user_id IS NOT NULL",
    );
    let users = timed(&ledger.metrics, query_name, users.fetch_all(leader.connection()));
    let users: Vec<Uuid> = with_timeout(query_name, ANSWER_TIMEOUT, users).await?;
    let affected: Vec<Uuid> =
        users.into_iter().filter(|user| shards.contains(&ledger.store.shard_number(*user))).collect();
    if affected.is_empty() {
        return Ok(());
    }
    let update =
        sqlx::query("UPDATE dead_letters SET in_redis = FALSE WHERE user_id = ANY($1)").bind(affected);
    with_timeout(
        query_name,
        ANSWER_TIMEOUT,
        timed(&ledger.metrics, query_name, update.execute(leader.connection())),
    )
    .await
    .map(drop)
}

async fn retry_requested(ledger: &Ledger, leader: &mut LeaderLock) -> Result<(), Fault> {
    let query_name = "read_dead_letters";
    let rows = sqlx::query(
        "SELECT id, shard, stream_id, entry FROM dead_letters WHERE state = 'retrying' ORDER BY id LIMIT $1",
    );
    let rows = timed(&ledger.metrics, query_name, rows.bind(BATCH).fetch_all(leader.connection()));
    for row in with_timeout(query_name, ANSWER_TIMEOUT, rows).await? {
        let (id, shard): (i64, i32) = (row.get("id"), row.get("shard"));
        let (stream_id, raw): (String, Vec<u8>) = (row.get("stream_id"), row.get("entry"));
        let Some(entry) = Entry::parse(shard as usize, &stream_id, &raw) else {
            set_state(ledger, leader, id, "waiting", Some("still not a valid outbox entry")).await?;
            continue;
        };
        match write_dead_letter(ledger, leader, &entry).await {
            Ok(()) => set_state(ledger, leader, id, "written", None).await?,
            Err(WriteError::Entry(fault)) => {
                set_state(ledger, leader, id, "waiting", Some(&fault.to_string())).await?;
            }
            Err(WriteError::Postgres(fault)) => return Err(fault),
        }
    }
    Ok(())
}

async fn set_state(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    id: i64,
    state: &str,
    detail: Option<&str>,
) -> Result<(), Fault> {
    let query_name = "update_dead_letter";
    // A user who was banned as unknown but is in Postgres by now: `admin/reconcile.rs` lifts the ban once `restricted_at` is recent. The
    // period of an award may be closed by now.
    let update = sqlx::query(
        "WITH updated AS (
             UPDATE dead_letters SET state = $2, detail = coalesce(left($3, 500), detail) WHERE id = $1
             RETURNING user_id, kind, reason, decided_by, decided_reason),
         late AS (
             INSERT INTO board_corrections (user_id, action, actor, reason)
             SELECT user_id, 'late_award', decided_by, decided_reason FROM updated
             WHERE $2 = 'written' AND kind IN ('awarded', 'adjusted'))
         UPDATE users SET restricted_at = now() FROM updated
         WHERE users.id = updated.user_id AND updated.reason = 'unknown_user'",
    );
    let update = update.bind(id).bind(state).bind(detail).execute(leader.connection());
    with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, update)).await.map(drop)
}

/// Bans players who are not in Postgres. Shards that are closed or unavailable are skipped and tried again a second later.
async fn ban_unknown_users(ledger: &Ledger, leader: &mut LeaderLock) -> Result<(), Fault> {
    let query_name = "find_unknown_players";
    let users = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM dead_letters
         WHERE state IN ('waiting', 'retrying') AND reason = 'unknown_user'
               AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id)",
    );
    let users = timed(&ledger.metrics, query_name, users.fetch_all(leader.connection()));
    let users: Vec<Uuid> = with_timeout(query_name, ANSWER_TIMEOUT, users).await?;
    for shard in 0..ledger.store.shard_count() {
        let members: Vec<Uuid> =
            users.iter().copied().filter(|user| ledger.store.shard_number(*user) == shard).collect();
        if let Err(fault) = ban_users(ledger, &members).await {
            tracing::warn!(shard, %fault, "banning players who are missing in postgres failed, retrying");
        }
    }
    Ok(())
}

async fn ban_users(ledger: &Ledger, users: &[Uuid]) -> Result<(), Fault> {
    if users.is_empty() {
        return Ok(());
    }
    let known = ledger.store.restrictions(users).await?;
    for (user, _) in users.iter().zip(known).filter(|(_, known)| !known.banned) {
        let restriction = Restrict {
            board: BoardId::GLOBAL,
            user: *user,
            banned: true,
            quarantined: false,
            held: 0,
            event_id: ledger.clock.new_id(),
            publish_interval_ms: ledger.config.live.publish_interval_ms,
            outbox_max: ledger.config.outbox.max_entries,
            candidates: &[],
        };
        match ledger.store.apply_restrictions(&restriction).await? {
            // Does not wait for the refill of the top list: it needs the ledger, which this task writes.
            Ok(change) => {
                publish_pending(ledger, change.flush_due_ms).await?;
                tracing::warn!(%user, runbook = "LaurelDeadLetters", "player missing in postgres banned in redis");
            }
            Err(reason) => tracing::debug!(%user, ?reason, "ban postponed until the board is open"),
        }
    }
    Ok(())
}
