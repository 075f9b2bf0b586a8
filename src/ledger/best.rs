//! The ledger's candidates for the ten, as `lua/lib/merge.lua` takes them: `score moment userId number username`.

use std::cmp::Reverse;
use std::time::Duration;

use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use super::{sql_fault, timed};
use crate::app::App;
use crate::error::Fault;

/// Candidates beyond the ten: whoever may take the place of somebody who leaves.
const AT_HAND: usize = 32;

/// A ban takes effect within a second, so the ledger is not waited for any longer than this.
const CATCH_UP_TRIES: u32 = 30;
const CATCH_UP_PAUSE: Duration = Duration::from_millis(10);

/// What is shown of a user, and when it was reached. Entries that are marked as held are shown once the user is no longer aside,
/// however late the mark goes. It is what the newest entry that is not held came to: such an entry's `score_after` counts held
/// points too, but nothing that is not held is written while some are. An entry that voids held
/// points comes back to a score that was reached before; all others reach theirs themselves.
const ENTRY: &str = "
    SELECT format('%s %s %s %s %s', h.score_after, h.hlc_us, u.id, u.number, u.username) AS entry
    FROM users u
    CROSS JOIN LATERAL (SELECT score_after FROM score_history WHERE user_id = u.id AND (NOT held OR u.quarantined_at IS NULL)
                        ORDER BY hlc_us DESC LIMIT 1) shown
    CROSS JOIN LATERAL (SELECT hlc_us, score_after FROM score_history
                        WHERE user_id = u.id AND (NOT held OR u.quarantined_at IS NULL) AND score_after = shown.score_after
                              AND NOT (action_type = 'void' AND note IS NOT NULL)
                        ORDER BY hlc_us DESC LIMIT 1) h";

/// The ten best of all, by score, then by who reached it first.
pub async fn best_of_all(database: &PgPool) -> Result<Vec<String>, Fault> {
    let mut connection = database.acquire().await.map_err(|error| sql_fault("read the best", error))?;
    best_some(&mut connection, 10).await
}

/// What the ledger says of those who have the most in Redis: the ten best of them. Whoever Redis has too little of is not found, but
/// no table is read as a whole, unless more tie for the tenth place than are at hand.
pub async fn best_at_hand(app: &App) -> Result<Vec<String>, Fault> {
    let mut entries = Vec::new();
    for shard in 0..app.store.shard_count() {
        entries.extend(missing(app, shard).await?);
    }
    entries.sort_by_key(|it| {
        let mut numbers = it.split(' ').map(|it| it.parse::<i64>().unwrap_or_default());
        (Reverse(numbers.next()), numbers.next())
    });
    entries.truncate(10);
    Ok(entries)
}

/// The ten best of a shard. Postgres does not know who is in which, so it is asked for more, until there are ten.
pub async fn best(app: &App, connection: &mut PgConnection, shard: usize) -> Result<Vec<String>, Fault> {
    let shards = app.store.shard_count();
    let mut most = 10 * shards;
    loop {
        let mut best = best_some(connection, most as i64).await?;
        let found = best.len();
        best.retain(|it| app.store.is_in(shard, it));
        if best.len() >= 10 || found < most {
            best.truncate(10);
            return Ok(best);
        }
        most *= 4;
    }
}

async fn best_some(connection: &mut PgConnection, most: i64) -> Result<Vec<String>, Fault> {
    let sql = format!(
        "{ENTRY}
         WHERE u.banned_at IS NULL AND h.score_after > 0 AND u.score >= greatest(1, (
             SELECT min(score) FROM (SELECT score FROM users WHERE banned_at IS NULL AND quarantined_at IS NULL
                                     ORDER BY score DESC LIMIT $1) t))
         ORDER BY h.score_after DESC, h.hlc_us
         LIMIT $1"
    );
    entries(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(most).fetch_all(connection).await)
}

/// Whoever may be among the ten once `user` leaves, moves or comes back, as far as that is known at once: Redis knows who has
/// the most, the ledger when they reached it. Where more tie for the last place than are at hand it is the user alone, and
/// `missing` looks for the rest.
///
/// # Errors
/// A store is away.
pub async fn contenders(app: &App, user: Uuid) -> Result<Vec<String>, Fault> {
    let shard = app.store.shard_number(user);
    catch_up(app, shard).await?;
    let mut ids = at_hand(app, shard, Some(user)).await?.unwrap_or_default();
    ids.push(user);
    of(app, &ids).await
}

/// Whoever may be missing among a shard's ten.
///
/// # Errors
/// A store is away.
pub async fn missing(app: &App, shard: usize) -> Result<Vec<String>, Fault> {
    catch_up(app, shard).await?;
    if let Some(ids) = at_hand(app, shard, None).await? {
        return of(app, &ids).await;
    }
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault("read the best", error))?;
    best(app, &mut connection, shard).await
}

/// The best by Redis; none if more than are at hand tie for the last place.
async fn at_hand(app: &App, shard: usize, leaves: Option<Uuid>) -> Result<Option<Vec<Uuid>>, Fault> {
    let best = app.store.best(shard, AT_HAND).await?;
    let tenth = best.iter().filter(|(it, _)| Some(*it) != leaves).nth(9).map(|(_, score)| *score);
    let crowded = best.len() == AT_HAND && tenth.is_some() && best.last().map(|it| it.1) == tenth;
    Ok((!crowded).then(|| best.into_iter().map(|(it, _)| it).collect()))
}

/// Waits a moment until the ledger has what has happened by now, so that it knows who of those who tie came first. Where it takes
/// longer, `short` says if somebody is missing.
async fn catch_up(app: &App, shard: usize) -> Result<(), Fault> {
    let Some(newest) = app.store.newest_entry(shard).await? else { return Ok(()) };
    for _ in 0..CATCH_UP_TRIES {
        if app.store.is_written_to(shard, &newest).await? {
            break;
        }
        tokio::time::sleep(CATCH_UP_PAUSE).await;
    }
    Ok(())
}

async fn of(app: &App, users: &[Uuid]) -> Result<Vec<String>, Fault> {
    let sql = format!("{ENTRY} WHERE u.id = ANY($1) AND u.banned_at IS NULL AND h.score_after > 0");
    let asked = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(users).fetch_all(&app.database);
    entries(timed(&app.metrics, "read the best", asked).await)
}

fn entries(rows: Result<Vec<sqlx::postgres::PgRow>, sqlx::Error>) -> Result<Vec<String>, Fault> {
    let rows = rows.map_err(|error| sql_fault("read the best", error))?;
    Ok(rows.iter().map(|row| row.get("entry")).collect())
}
