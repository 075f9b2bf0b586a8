//! The most active users, and the peak hours.

use sqlx::Row;
use uuid::Uuid;

use super::{DAY_MS, Span};
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;
use crate::ledger::{HOUR_MS, Period};

/// One of the most active users.
#[derive(Clone, Debug)]
pub struct ActiveUser {
    /// Public number.
    pub number: i64,
    /// UUID.
    pub id: Uuid,
    /// Username.
    pub username: String,
    /// Awards in the period.
    pub awards: i64,
    /// Their points.
    pub points: i64,
    /// Time of the newest award in ms since the Unix epoch.
    pub last_at_ms: i64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
}

/// The most active users of a period.
#[derive(Clone, Debug)]
pub struct MostActive {
    /// The period.
    pub span: Span,
    /// By awards, then points, highest first.
    pub users: Vec<ActiveUser>,
}

/// The most active users of the current period, at most 100.
///
/// # Errors
/// Postgres is unavailable.
pub async fn most_active(admin: &Admin, period: Period, limit: u32, now_ms: i64) -> Result<MostActive> {
    let query_name = "read_most_active_users";
    let hour = now_ms.div_euclid(HOUR_MS);
    let span = Span { from_ms: period.start(hour) * HOUR_MS, to_ms: period.end(hour) * HOUR_MS };
    let query = sqlx::query(
        "SELECT u.number, u.id, u.username, best.awards, least(best.points, 9007199254740991) AS points,
                (extract(epoch FROM known.last_at) * 1000)::bigint AS last_at_ms,
                u.banned_at IS NOT NULL AS banned, u.quarantined_at IS NOT NULL AND u.voids_id IS NULL AS quarantined
         FROM (SELECT user_id, awards, points FROM rollup_best WHERE period = $1 AND period_start = to_timestamp($2 / 1000.0)
               ORDER BY awards DESC, points DESC, user_id LIMIT $3) best
         JOIN users u ON u.id = best.user_id JOIN rollup_users known ON known.user_id = best.user_id
         ORDER BY best.awards DESC, best.points DESC, best.user_id",
    )
    .bind(period.as_str())
    .bind(span.from_ms as f64)
    .bind(i64::from(limit))
    .fetch_all(&admin.database);
    let rows =
        timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
    let user = |row: &sqlx::postgres::PgRow| ActiveUser {
        number: row.get("number"),
        id: row.get("id"),
        username: row.get("username"),
        awards: row.get("awards"),
        points: row.get("points"),
        last_at_ms: row.get("last_at_ms"),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
    };
    Ok(MostActive { span, users: rows.iter().map(user).collect() })
}

/// Awards by weekday, from Monday, and hour.
///
/// # Errors
/// Postgres is unavailable.
pub async fn peak_hours(admin: &Admin, span: Span) -> Result<[[i64; 24]; 7]> {
    let query_name = "read_peak_hours";
    let query = sqlx::query_as::<_, (i64, i64)>(
        "SELECT (date_part('epoch', hour) * 1000)::bigint, awards FROM rollup_hours
         WHERE hour >= to_timestamp($1 / 1000.0) AND hour < to_timestamp($2 / 1000.0)",
    )
    .bind(span.from_ms as f64)
    .bind(span.to_ms as f64)
    .fetch_all(&admin.database);
    let rows =
        timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
    let mut awards = [[0; 24]; 7];
    for (at_ms, count) in rows {
        // The Unix epoch was a Thursday.
        let weekday = (at_ms.div_euclid(DAY_MS) + 3).rem_euclid(7);
        let hour = at_ms.rem_euclid(DAY_MS) / HOUR_MS;
        awards[weekday as usize][hour as usize] += count;
    }
    Ok(awards)
}
