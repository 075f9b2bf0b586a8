//! A row of `score_history`, read back to be hashed.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::chain::Link;

/// What `link` needs.
pub const COLUMNS: &str = "
    event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after, hlc_us,
    CASE WHEN isfinite(created_at) THEN (extract(epoch FROM created_at) * 1000000)::bigint END AS created_us,
    coalesce(note::text, '') AS note";

/// What is hashed of a row.
pub fn link(row: &PgRow) -> Result<Link<'_>, sqlx::Error> {
    Ok(Link {
        event_id: row.try_get("event_id")?,
        user: row.try_get("user_id")?,
        action: row.try_get("action_type")?,
        points: row.try_get("points_earned")?,
        token_hash: row.try_get("action_token_hash")?,
        before: row.try_get("score_before")?,
        after: row.try_get("score_after")?,
        hlc_us: row.try_get("hlc_us")?,
        created_us: row.try_get::<Option<i64>, _>("created_us")?.unwrap_or(i64::MIN),
        note: row.try_get("note")?,
    })
}
