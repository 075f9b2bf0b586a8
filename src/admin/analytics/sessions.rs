//! Game sessions that have ended: how many actions they have, and how long they are.

use sqlx::Row;

use super::Span;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{SESSION_CLASSES, UNCOUNTED_SESSIONS, sql_fault, timed};

/// What sessions were like.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// How many there were.
    pub sessions: i64,
    /// Their actions.
    pub actions: i64,
    /// What they lasted, together.
    pub seconds: i64,
    /// How many had at least so many actions, and fewer than the next class; the last class has no end.
    pub classes: Vec<(i64, i64)>,
}

/// The sessions that began in a span which ends now, and have ended.
///
/// # Errors
/// Postgres is away.
pub async fn sessions(app: &App, span: Span) -> Result<Sessions> {
    let doing = "read the sessions";
    let asked = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT least, sum(sessions)::bigint AS sessions, sum(actions)::bigint AS actions, sum(seconds)::bigint AS seconds
         FROM (SELECT hour, least, sessions, actions, seconds FROM rollup_sessions UNION ALL {UNCOUNTED_SESSIONS}) it
         WHERE hour >= to_timestamp($1 / 1000.0) GROUP BY least"
    )))
    .bind(span.from_ms as f64)
    .fetch_all(&app.database);
    let rows = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    let mut all =
        Sessions { classes: SESSION_CLASSES.map(|least| (least, 0)).to_vec(), ..Sessions::default() };
    for row in rows {
        let (least, sessions): (i64, i64) = (row.get("least"), row.get("sessions"));
        all.sessions += sessions;
        all.actions += row.get::<i64, _>("actions");
        all.seconds += row.get::<i64, _>("seconds");
        for (class, count) in &mut all.classes {
            *count += if *class == least { sessions } else { 0 };
        }
    }
    Ok(all)
}
