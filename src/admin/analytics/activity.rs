//! Awards, users, sessions and refusals over time.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool, Row};

use super::{Span, Step};
use crate::admin::Admin;
use crate::db::{begin, sql_fault, timed};
use crate::error::Result;
use crate::ledger::{SESSION_CLASSES, UNCOUNTED_SESSIONS};

/// One hour or day.
#[derive(Clone, Debug, Default)]
pub struct ActivityRow {
    /// Start in ms since the Unix epoch.
    pub at_ms: i64,
    /// Number of awards.
    pub awards: i64,
    /// Their points.
    pub points: i64,
    /// Users with an award.
    pub active_users: i64,
    /// Refused requests by error code.
    pub refusals: BTreeMap<String, i64>,
}

/// Totals of a span and its time series.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Users with an award since the start.
    pub active_users: i64,
    /// Users who registered.
    pub new_users: i64,
    /// Sessions that started in the span and have ended.
    pub sessions: i64,
    /// Their actions.
    pub session_actions: i64,
    /// Every hour or day, oldest first, without gaps.
    pub rows: Vec<ActivityRow>,
}

/// The activity of a span that ends now, by hour or by day.
///
/// # Errors
/// Postgres is unavailable.
pub async fn activity(admin: &Admin, span: Span, step: Step) -> Result<Activity> {
    let query_name = "read_activity";
    let read = timed(&admin.metrics, query_name, read(&admin.database, span, step)).await;
    read.map_err(|error| sql_fault(query_name, error).into())
}

async fn read(database: &PgPool, span: Span, step: Step) -> Result<Activity, sqlx::Error> {
    // The rollups and the rows that are not in them yet must be of the same snapshot.
    let mut transaction = begin(database, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut rows: Vec<ActivityRow> = (span.from_ms..span.to_ms)
        .step_by(step.ms() as usize)
        .map(|at_ms| ActivityRow { at_ms, ..ActivityRow::default() })
        .collect();
    let index = |at_ms: i64| ((at_ms - span.from_ms) / step.ms()) as usize;
    let hours = sqlx::query(
        "SELECT (date_part('epoch', hour) * 1000)::bigint AS at_ms, awards, least(points, 9007199254740991)::bigint AS points,
                users, day_users, last_users, new_users
         FROM rollup_hours WHERE hour >= to_timestamp($1 / 1000.0)",
    );
    let hours = hours.bind(span.from_ms as f64).fetch_all(&mut *transaction).await?;
    let (mut active_users, mut new_users) = (0, 0);
    for hour in hours {
        // An hour after the span comes from a clock that runs ahead. Its users were active since the start too.
        active_users += hour.get::<i64, _>("last_users");
        new_users += hour.get::<i64, _>("new_users");
        let Some(row) = rows.get_mut(index(hour.get("at_ms"))) else { continue };
        row.awards += hour.get::<i64, _>("awards");
        row.points = row.points.saturating_add(hour.get("points"));
        row.active_users += match step {
            Step::Hour => hour.get::<i64, _>("users"),
            Step::Day => hour.get::<i64, _>("day_users"),
        };
    }
    for (code, at_s, counts) in refusals(&mut transaction, span).await? {
        for (at_s, count) in at_s.into_iter().zip(counts) {
            if let Some(row) = rows.get_mut(index(at_s * 1000)) {
                *row.refusals.entry(code.clone()).or_default() += count;
            }
        }
    }
    // Registrations of the last minute are not in the rollups yet.
    let newest = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM users WHERE number > (SELECT user_number FROM rollup_heads WHERE shard = 0)
               AND created_at >= to_timestamp($1 / 1000.0)",
    );
    new_users += newest.bind(span.from_ms as f64).fetch_one(&mut *transaction).await?;
    let (sessions, session_actions) = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT coalesce(sum(sessions), 0)::bigint, coalesce(sum(actions), 0)::bigint
         FROM (SELECT hour, min_actions, sessions, actions, seconds FROM rollup_sessions UNION ALL {UNCOUNTED_SESSIONS}) it
         WHERE hour >= to_timestamp($1 / 1000.0)"
    )))
    .bind(span.from_ms as f64)
    .fetch_one(&mut *transaction)
    .await?;
    Ok(Activity { active_users, new_users, sessions, session_actions, rows })
}

/// Per error code: the starts of its hours in seconds, and the counts. One row per code, since there are many hours.
async fn refusals(
    connection: &mut PgConnection,
    span: Span,
) -> Result<Vec<(String, Vec<i64>, Vec<i64>)>, sqlx::Error> {
    let rows = sqlx::query_as(
        "SELECT code, array_agg(date_part('epoch', hour)::bigint), array_agg(count)
         FROM rollup_refusals WHERE hour >= to_timestamp($1) GROUP BY code",
    );
    rows.bind(span.from_ms as f64 / 1000.0).fetch_all(connection).await
}

/// Statistics of ended game sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Number of sessions.
    pub sessions: i64,
    /// Their actions.
    pub actions: i64,
    /// Sum of their durations.
    pub seconds: i64,
    /// Lower bound of each size class in actions, and its number of sessions. The last class is open-ended.
    pub classes: Vec<(i64, i64)>,
}

/// The ended sessions that started in a span which ends now.
///
/// # Errors
/// Postgres is unavailable.
pub async fn sessions(admin: &Admin, span: Span) -> Result<Sessions> {
    let query_name = "read_session_stats";
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT min_actions, sum(sessions)::bigint AS sessions, sum(actions)::bigint AS actions, sum(seconds)::bigint AS seconds
         FROM (SELECT hour, min_actions, sessions, actions, seconds FROM rollup_sessions UNION ALL {UNCOUNTED_SESSIONS}) it
         WHERE hour >= to_timestamp($1 / 1000.0) GROUP BY min_actions"
    )))
    .bind(span.from_ms as f64)
    .fetch_all(&admin.database);
    let rows = timed(&admin.metrics, query_name, rows).await.map_err(|error| sql_fault(query_name, error))?;
    let mut all = Sessions {
        classes: SESSION_CLASSES.map(|min_actions| (min_actions, 0)).to_vec(),
        ..Sessions::default()
    };
    for row in rows {
        let (class, sessions): (i64, i64) = (row.get("min_actions"), row.get("sessions"));
        all.sessions += sessions;
        all.actions += row.get::<i64, _>("actions");
        all.seconds += row.get::<i64, _>("seconds");
        for (min_actions, count) in &mut all.classes {
            *count += if *min_actions == class { sessions } else { 0 };
        }
    }
    Ok(all)
}
