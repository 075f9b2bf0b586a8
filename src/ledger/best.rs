//! The ledger's candidates for the ten, as `lua/lib/merge.lua` takes them: `score moment userId number username`.

use std::time::Duration;

use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::sql_fault;
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
    SELECT format('%s %s %s %s %s', h.score_after, h.moment, u.id, u.number, u.username) AS entry
    FROM users u
    CROSS JOIN LATERAL (SELECT score_after FROM score_history WHERE user_id = u.id AND (NOT held OR u.aside_at IS NULL)
                        ORDER BY moment DESC LIMIT 1) shown
    CROSS JOIN LATERAL (SELECT moment, score_after FROM score_history
                        WHERE user_id = u.id AND (NOT held OR u.aside_at IS NULL) AND score_after = shown.score_after
                              AND NOT (action_type = 'void' AND note IS NOT NULL)
                        ORDER BY moment DESC LIMIT 1) h";

/// The ten best of all, by score, then by who reached it first.
pub async fn best(database: &PgPool) -> Result<Vec<String>, Fault> {
    let sql = format!(
        "{ENTRY}
         WHERE u.banned_at IS NULL AND h.score_after > 0 AND u.score >= greatest(1, (
             SELECT min(score) FROM (SELECT score FROM users WHERE banned_at IS NULL AND aside_at IS NULL
                                     ORDER BY score DESC LIMIT 10) t))
         ORDER BY h.score_after DESC, h.moment
         LIMIT 10"
    );
    entries(sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database).await)
}

/// Whoever may be among the ten once `user` leaves, moves or comes back, or where somebody is missing. Redis knows who has the
/// most; the ledger knows when they reached it. Only where more tie for the last place than are at hand does the ledger look
/// through all.
pub async fn contenders(app: &App, user: Option<Uuid>) -> Result<Vec<String>, Fault> {
    catch_up(app).await?;
    let at_hand = app.store.best(AT_HAND).await?;
    let tenth = at_hand.iter().filter(|(it, _)| Some(*it) != user).nth(9).map(|(_, score)| *score);
    let crowded = at_hand.len() == AT_HAND && tenth.is_some() && at_hand.last().map(|it| it.1) == tenth;
    if crowded {
        let mut found = best(&app.database).await?;
        found.extend(of(&app.database, user.as_slice()).await?);
        return Ok(found);
    }
    let mut ids: Vec<Uuid> = at_hand.into_iter().map(|(it, _)| it).collect();
    ids.extend(user);
    of(&app.database, &ids).await
}

/// Waits a moment until the ledger has what has happened by now, so that it knows who of those who tie came first. Where it takes
/// longer, `short` says if somebody is missing.
async fn catch_up(app: &App) -> Result<(), Fault> {
    let Some(newest) = app.store.newest_entry().await? else { return Ok(()) };
    for _ in 0..CATCH_UP_TRIES {
        if app.store.is_written_to(&newest).await? {
            break;
        }
        tokio::time::sleep(CATCH_UP_PAUSE).await;
    }
    Ok(())
}

async fn of(database: &PgPool, users: &[Uuid]) -> Result<Vec<String>, Fault> {
    let sql = format!("{ENTRY} WHERE u.id = ANY($1)");
    entries(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(users).fetch_all(database).await)
}

fn entries(rows: Result<Vec<sqlx::postgres::PgRow>, sqlx::Error>) -> Result<Vec<String>, Fault> {
    let rows = rows.map_err(|error| sql_fault("read the best", error))?;
    Ok(rows.iter().map(|row| row.get("entry")).collect())
}
