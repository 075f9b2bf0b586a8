//! What the leader does with dead letters once a second: those that an operator wants written are tried again, and players whom Postgres
//! does not know are banned in Redis, so that they win nothing more.

use sqlx::Row;
use uuid::Uuid;

use crate::app::App;
use crate::error::Fault;
use crate::ledger::commit::{NotWritten, write_again};
use crate::ledger::database::{HANGS_AFTER, in_time, timed};
use crate::ledger::leader::LeaderLock;
use crate::ledger::open::show;
use crate::store::{Entry, Restrict};

/// Dead letters that are tried again in one go.
const AT_ONCE: i64 = 100;

/// Looks after dead letters.
///
/// # Errors
/// Postgres is away, or the lead is lost.
pub async fn tend(app: &App, leader: &mut LeaderLock) -> Result<(), Fault> {
    let doing = "count dead letters";
    let counts = sqlx::query(
        "SELECT count(*) AS open, count(*) FILTER (WHERE state = 'retrying') AS retrying,
                count(*) FILTER (WHERE reason = 'unknown_user') AS unknown
         FROM dead_letters WHERE state IN ('waiting', 'retrying')",
    );
    let counts = timed(&app.metrics, doing, counts.fetch_one(leader.connection()));
    let row = in_time(doing, HANGS_AFTER, counts).await?;
    app.metrics.dead_letters_waiting.set(row.get("open"));
    if row.get::<i64, _>("retrying") > 0 {
        write_all_again(app, leader).await?;
    }
    if row.get::<i64, _>("unknown") > 0 {
        ban_unknown(app, leader).await?;
    }
    Ok(())
}

/// Waits until no dead letter is to be tried again, and tries them where no node leads.
///
/// # Errors
/// A store is away.
pub async fn retry_letters(app: &App) -> Result<(), Fault> {
    loop {
        let doing = "look whether dead letters are to be tried again";
        let sql = "SELECT EXISTS (SELECT FROM dead_letters WHERE state = 'retrying')";
        let asked = timed(&app.metrics, doing, sqlx::query_scalar(sql).fetch_one(&app.database));
        if !in_time::<bool>(doing, HANGS_AFTER, asked).await? {
            return Ok(());
        }
        // It waits a second for the lead, in which whoever has it comes to them.
        if let Some(mut leader) = LeaderLock::try_take(&app.database).await? {
            tend(app, &mut leader).await?;
            leader.release().await;
        }
    }
}

/// After some shards were loaded from the ledger: Redis has no more what their dead letters had moved.
///
/// # Errors
/// Postgres is away.
pub async fn note_loaded(app: &App, leader: &mut LeaderLock, shards: &[usize]) -> Result<(), Fault> {
    let doing = "note which dead letters Redis lost";
    let asked = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM dead_letters
         WHERE state IN ('waiting', 'retrying') AND in_redis AND user_id IS NOT NULL",
    );
    let asked = timed(&app.metrics, doing, asked.fetch_all(leader.connection()));
    let users: Vec<Uuid> = in_time(doing, HANGS_AFTER, asked).await?;
    let lost: Vec<Uuid> =
        users.into_iter().filter(|it| shards.contains(&app.store.shard_number(*it))).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let update = sqlx::query("UPDATE dead_letters SET in_redis = FALSE WHERE user_id = ANY($1)").bind(lost);
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, update.execute(leader.connection())))
        .await
        .map(drop)
}

async fn write_all_again(app: &App, leader: &mut LeaderLock) -> Result<(), Fault> {
    let doing = "read dead letters";
    let asked = sqlx::query(
        "SELECT id, shard, stream_id, entry FROM dead_letters WHERE state = 'retrying' ORDER BY id LIMIT $1",
    );
    let asked = timed(&app.metrics, doing, asked.bind(AT_ONCE).fetch_all(leader.connection()));
    for row in in_time(doing, HANGS_AFTER, asked).await? {
        let (id, shard): (i64, i32) = (row.get("id"), row.get("shard"));
        let (stream_id, raw): (String, Vec<u8>) = (row.get("stream_id"), row.get("entry"));
        let Some(entry) = Entry::parse(shard as usize, &stream_id, &raw) else {
            settle(app, leader, id, "waiting", Some("it still has not the shape of an entry")).await?;
            continue;
        };
        match write_again(app, leader, &entry).await {
            Ok(()) => settle(app, leader, id, "written", None).await?,
            Err(NotWritten::Entries(fault)) => {
                settle(app, leader, id, "waiting", Some(&fault.to_string())).await?;
            }
            Err(NotWritten::Store(fault)) => return Err(fault),
        }
    }
    Ok(())
}

async fn settle(
    app: &App,
    leader: &mut LeaderLock,
    id: i64,
    state: &str,
    detail: Option<&str>,
) -> Result<(), Fault> {
    let doing = "settle a dead letter";
    // The ban of a user whom Postgres knows by now is lifted by whoever makes Redis agree with what was decided lately.
    let update = sqlx::query(
        "WITH settled AS (
             UPDATE dead_letters SET state = $2, detail = coalesce(left($3, 500), detail) WHERE id = $1
             RETURNING user_id, reason)
         UPDATE users SET restricted_at = now() FROM settled
         WHERE users.id = settled.user_id AND settled.reason = 'unknown_user'",
    );
    let update = update.bind(id).bind(state).bind(detail).execute(leader.connection());
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, update)).await.map(drop)
}

/// Bans players whom Postgres does not know. Those of a shard that is closed or away are left alone: the next look comes in a second.
async fn ban_unknown(app: &App, leader: &mut LeaderLock) -> Result<(), Fault> {
    let doing = "look for players whom Postgres does not know";
    let asked = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM dead_letters
         WHERE state IN ('waiting', 'retrying') AND reason = 'unknown_user'
               AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id)",
    );
    let asked = timed(&app.metrics, doing, asked.fetch_all(leader.connection()));
    let users: Vec<Uuid> = in_time(doing, HANGS_AFTER, asked).await?;
    for shard in 0..app.store.shard_count() {
        let here: Vec<Uuid> =
            users.iter().copied().filter(|it| app.store.shard_number(*it) == shard).collect();
        if let Err(fault) = ban_all(app, &here).await {
            tracing::warn!(shard, %fault, "players whom Postgres does not know are not banned yet");
        }
    }
    Ok(())
}

async fn ban_all(app: &App, users: &[Uuid]) -> Result<(), Fault> {
    if users.is_empty() {
        return Ok(());
    }
    let known = app.store.restrictions(users).await?;
    for (user, _) in users.iter().zip(known).filter(|(_, known)| !known.banned) {
        let it = Restrict {
            user: *user,
            banned: true,
            quarantined: false,
            held: 0,
            event_id: app.clock.new_id(),
            publish_interval_ms: app.config.live.publish_interval_ms,
            outbox_max: app.config.outbox.max_entries,
            candidates: &[],
        };
        match app.store.apply_restrictions(&it).await? {
            // Somebody missing among the ten is not waited for: whoever waits here is who writes the ledger.
            Ok(mended) => {
                show(app, mended.flush_due_ms).await?;
                tracing::warn!(%user, runbook = "LaurelDeadLetters", "banned a player whom Postgres does not know");
            }
            Err(why) => tracing::debug!(%user, ?why, "a ban waits for the board"),
        }
    }
    Ok(())
}
