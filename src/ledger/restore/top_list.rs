//! The ledger's candidates for the top list, and refilling a top list that lacks somebody. A candidate has the form that
//! `lua/lib/merge.lua` takes: `score hlc_us userId number username`.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::db::{sql_fault, timed};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::restore::board_opening::publish_pending;
use crate::store::{BoardEntry, TopChange};

/// Length of the top list.
const TOP_SIZE: usize = 10;
/// Users read from Redis as candidates: the top list, and those who may move up when somebody leaves it.
const CANDIDATES: usize = 32;

/// How long to wait for the ledger: 30 × 10 ms. A ban has to take effect within a second.
const CATCH_UP_TRIES: u32 = 30;
const CATCH_UP_PAUSE: Duration = Duration::from_millis(10);

/// How long `await_top` waits for a complete top list: 20 × 100 ms.
const REFILL_TRIES: u32 = 20;
const REFILL_PAUSE: Duration = Duration::from_millis(100);

const DOING: &str = "read_top_candidates";

/// A user's shown score and when it was reached. The score is the `score_after` of the newest entry that counts: not held, or any entry if
/// the user is not quarantined (the held mark may be removed later). Such an entry's `score_after` includes no held points, since only held
/// entries are written while some are held. A void returns to an earlier score, so the time is that of the entry which reached it.
/// An award of 0 points reaches nothing.
const ENTRY: &str = "
    SELECT h.score_after, h.hlc_us, u.id, u.number, u.username
    FROM users u
    CROSS JOIN LATERAL (SELECT score_after FROM score_history WHERE user_id = u.id AND (NOT held OR u.quarantined_at IS NULL)
                        ORDER BY hlc_us DESC LIMIT 1) shown
    CROSS JOIN LATERAL (SELECT hlc_us, score_after FROM score_history
                        WHERE user_id = u.id AND (NOT held OR u.quarantined_at IS NULL) AND score_after = shown.score_after
                              AND CASE action_token_hash WHEN '' THEN action_type <> 'void' ELSE points_earned <> 0 END
                        ORDER BY hlc_us DESC LIMIT 1) h";

/// The top list of all users, by score, then by who reached it first.
pub async fn top_of_all(database: &PgPool) -> Result<Vec<BoardEntry>, Fault> {
    let mut connection = database.acquire().await.map_err(|error| sql_fault(DOING, error))?;
    read_top(&mut connection, TOP_SIZE as i64).await
}

/// The top list of the users with the highest scores in Redis. Cheap, but it misses users whose score in Redis is too low. Scans all users
/// if more of them tie for the last rank than `CANDIDATES`.
pub async fn top_of_highest(ledger: &Ledger) -> Result<Vec<BoardEntry>, Fault> {
    let mut entries = Vec::new();
    for shard in 0..ledger.store.shard_count() {
        entries.extend(candidates_of_shard(ledger, shard).await?);
    }
    entries.sort_by_key(|entry| (Reverse(entry.score), entry.hlc_us));
    entries.truncate(TOP_SIZE);
    Ok(entries)
}

/// The top list of a shard. Postgres does not know which user is in which shard, so the query asks for more users until there are enough.
pub async fn top_of_shard(
    ledger: &Ledger,
    connection: &mut PgConnection,
    shard: usize,
) -> Result<Vec<BoardEntry>, Fault> {
    let mut limit = TOP_SIZE * ledger.store.shard_count();
    loop {
        let mut top = read_top(connection, limit as i64).await?;
        let found = top.len();
        top.retain(|entry| ledger.store.shard_number(entry.user) == shard);
        if top.len() >= TOP_SIZE || found < limit {
            top.truncate(TOP_SIZE);
            return Ok(top);
        }
        limit *= 4;
    }
}

async fn read_top(connection: &mut PgConnection, limit: i64) -> Result<Vec<BoardEntry>, Fault> {
    let sql = format!(
        "{ENTRY}
         WHERE u.banned_at IS NULL AND h.score_after > 0 AND u.score >= greatest(1, (
             SELECT min(score) FROM (SELECT score FROM users WHERE banned_at IS NULL AND quarantined_at IS NULL
                                     ORDER BY score DESC LIMIT $1) t))
         ORDER BY h.score_after DESC, h.hlc_us
         LIMIT $1"
    );
    entries(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(limit).fetch_all(connection).await)
}

/// Candidates for the top list when `user` leaves it, moves or returns: Redis knows the highest scores, the ledger when they were reached.
/// If too many users tie for the last rank, only the user is returned, and `refill_top_forever` finds the others.
///
/// # Errors
/// A store is unavailable.
pub async fn candidates_for(ledger: &Ledger, user: Uuid) -> Result<Vec<BoardEntry>, Fault> {
    let shard = ledger.store.shard_number(user);
    catch_up(ledger, shard).await?;
    let mut ids = highest_in_redis(ledger, shard, Some(user)).await?.unwrap_or_default();
    ids.push(user);
    entries_of(ledger, &ids).await
}

async fn candidates_of_shard(ledger: &Ledger, shard: usize) -> Result<Vec<BoardEntry>, Fault> {
    catch_up(ledger, shard).await?;
    if let Some(ids) = highest_in_redis(ledger, shard, None).await? {
        return entries_of(ledger, &ids).await;
    }
    let mut connection = ledger.database.acquire().await.map_err(|error| sql_fault(DOING, error))?;
    top_of_shard(ledger, &mut connection, shard).await
}

/// The users with the highest scores in Redis. None if more users tie for the last rank than were read.
async fn highest_in_redis(
    ledger: &Ledger,
    shard: usize,
    without: Option<Uuid>,
) -> Result<Option<Vec<Uuid>>, Fault> {
    let users = ledger.store.best(shard, CANDIDATES).await?;
    let mut scores = users.iter().filter(|(user, _)| Some(*user) != without).map(|(_, score)| *score);
    let last_rank = scores.nth(TOP_SIZE - 1);
    let is_ambiguous =
        users.len() == CANDIDATES && last_rank.is_some() && users.last().map(|it| it.1) == last_rank;
    Ok((!is_ambiguous).then(|| users.into_iter().map(|(user, _)| user).collect()))
}

/// Waits until the ledger has the current entries, so that it can tell who of several users with the same score was first. If that takes
/// too long, the top list is marked as short and refilled later.
async fn catch_up(ledger: &Ledger, shard: usize) -> Result<(), Fault> {
    let Some(newest) = ledger.store.newest_entry(shard).await? else { return Ok(()) };
    for _ in 0..CATCH_UP_TRIES {
        if ledger.store.is_written_to(shard, &newest).await? {
            break;
        }
        tokio::time::sleep(CATCH_UP_PAUSE).await;
    }
    Ok(())
}

async fn entries_of(ledger: &Ledger, users: &[Uuid]) -> Result<Vec<BoardEntry>, Fault> {
    let sql = format!("{ENTRY} WHERE u.id = ANY($1) AND u.banned_at IS NULL AND h.score_after > 0");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(users).fetch_all(&ledger.database);
    entries(timed(&ledger.metrics, DOING, rows).await)
}

fn entries(rows: Result<Vec<sqlx::postgres::PgRow>, sqlx::Error>) -> Result<Vec<BoardEntry>, Fault> {
    let rows = rows.map_err(|error| sql_fault(DOING, error))?;
    let entry = |row: &sqlx::postgres::PgRow| BoardEntry {
        score: row.get::<i64, _>("score_after").unsigned_abs(),
        hlc_us: row.get("hlc_us"),
        user: row.get("id"),
        number: row.get("number"),
        username: row.get("username"),
    };
    Ok(rows.iter().map(entry).collect())
}

/// Refills short top lists, checked once a second. The ledger has the missing users once their newest awards are written.
pub async fn refill_top_forever(ledger: Arc<Ledger>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for shard in 0..ledger.store.shard_count() {
            let Ok(state) = ledger.store.poll_shard_state(shard).await else { continue };
            if state.open
                && !state.top_is_complete
                && let Err(fault) = refill(&ledger, shard).await
            {
                tracing::warn!(shard, %fault, "refilling the top list failed, retrying");
            }
        }
    }
}

/// Refills a shard's top list. Returns true if it is complete.
async fn refill(ledger: &Ledger, shard: usize) -> Result<bool, Fault> {
    let candidates = candidates_of_shard(ledger, shard).await?;
    let change =
        ledger.store.refill_top(shard, &candidates, ledger.config.live.publish_interval_ms, None).await?;
    publish_pending(ledger, change.flush_due_ms).await?;
    Ok(change.top_is_complete)
}

/// After a user's rank changed: publishes a throttled board and waits up to 2 s for a complete top list. `refill_top_forever` does what
/// takes longer.
///
/// # Errors
/// A store is unavailable. The next poll publishes the board.
pub async fn await_top(ledger: &Ledger, user: Uuid, change: TopChange) -> Result<(), Fault> {
    publish_pending(ledger, change.flush_due_ms).await?;
    let mut is_complete = change.top_is_complete;
    for _ in 0..REFILL_TRIES {
        if is_complete {
            break;
        }
        tokio::time::sleep(REFILL_PAUSE).await;
        is_complete = refill(ledger, ledger.store.shard_number(user)).await?;
    }
    Ok(())
}
