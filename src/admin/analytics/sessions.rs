//! Ended game sessions: their number of actions and their duration.

use sqlx::Row;

use super::Span;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{SESSION_CLASSES, UNCOUNTED_SESSIONS, sql_fault, timed};

/// Statistics of sessions.
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
pub async fn sessions(app: &App, span: Span) -> Result<Sessions> {
    let doing = "read_session_stats";
    let asked = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT least, sum(sessions)::bigint AS sessions, sum(actions)::bigint AS actions, sum(seconds)::bigint AS seconds
         FROM (SELECT hour, least, sessions, actions, seconds FROM rollup_sessions UNION ALL {UNCOUNTED_SESSIONS}) it
         WHERE hour >= to_timestamp($1 / 1000.0) GROUP BY least"
    )))
    .bind(span.from_ms as f64)
    .fetch_all(&app.database);
    let rows = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    let mut all = Sessions {
        classes: SESSION_CLASSES.map(|min_actions| (min_actions, 0)).to_vec(),
        ..Sessions::default()
    };
    for row in rows {
        let (least, sessions): (i64, i64) = (row.get("least"), row.get("sessions"));
        all.sessions += sessions;
        all.actions += row.get::<i64, _>("actions");
        all.seconds += row.get::<i64, _>("seconds");
        for (min_actions, count) in &mut all.classes {
            *count += if *min_actions == least { sessions } else { 0 };
        }
    }
    Ok(all)
}
