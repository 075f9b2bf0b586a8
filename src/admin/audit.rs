//! The table `admin_audit`.

use serde_json::Value;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use super::{Changed, Decision};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{sql_fault, timed};

/// One thing that an operator did.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When, in ms since the Unix epoch.
    pub at_ms: i64,
    /// Who did it.
    pub actor: String,
    /// What: `ban`, `adjust`, …
    pub action: String,
    /// To whom.
    pub username: String,
    /// The same, by number.
    pub number: i64,
    /// Why.
    pub reason: String,
    /// More about it.
    pub detail: Value,
}

/// Writes one row. Returns whether it is new: under one key an actor has one.
pub(super) async fn note(
    database: impl PgExecutor<'_>,
    id: Uuid,
    user: Uuid,
    action: &str,
    decision: &Decision,
    detail: Option<&Value>,
    key: Option<&str>,
) -> Result<bool> {
    let written = sqlx::query(
        "INSERT INTO admin_audit (id, actor, action, user_id, reason, detail, idempotency_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, idempotency_key) DO NOTHING",
    )
    .bind(id)
    .bind(&decision.actor)
    .bind(action)
    .bind(user)
    .bind(&decision.reason)
    .bind(detail)
    .bind(key)
    .execute(database)
    .await;
    Ok(written.map_err(|error| sql_fault("write the audit", error))?.rows_affected() == 1)
}

/// Adds what came of it.
pub(super) async fn complete(
    app: &App,
    database: impl PgExecutor<'_>,
    id: Uuid,
    detail: Value,
) -> Result<()> {
    let doing = "complete the audit";
    let sql = "UPDATE admin_audit SET detail = coalesce(detail, '{}') || $2 WHERE id = $1";
    let written = timed(&app.metrics, doing, sqlx::query(sql).bind(id).bind(detail).execute(database)).await;
    written.map(drop).map_err(|error| sql_fault(doing, error).into())
}

/// What came of an event, if it is known.
pub(super) async fn changed(app: &App, id: Uuid) -> Result<Option<Changed>> {
    let doing = "look up what was voided";
    let sql = "SELECT (detail->>'before')::bigint AS before, (detail->>'after')::bigint AS after FROM admin_audit WHERE id = $1";
    let asked = sqlx::query(sql).bind(id).fetch_optional(&app.database);
    let row = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    let total = |name: &str| row.as_ref()?.get::<Option<i64>, _>(name).map(|it| it as u64);
    Ok(total("before").zip(total("after")).map(|(before, after)| Changed { event_id: id, before, after }))
}

/// Takes a row back of something that was not done.
pub(super) async fn forget(app: &App, id: Uuid) -> Result<()> {
    let doing = "take back from the audit";
    let asked = sqlx::query("DELETE FROM admin_audit WHERE id = $1").bind(id).execute(&app.database);
    let gone = timed(&app.metrics, doing, asked).await;
    gone.map(drop).map_err(|error| sql_fault(doing, error).into())
}

/// The newest deeds.
///
/// # Errors
/// Postgres is away.
pub async fn audit(app: &App, limit: u32) -> Result<Vec<Deed>> {
    let doing = "read the audit";
    let asked = sqlx::query(
        "SELECT (extract(epoch FROM a.created_at) * 1000)::bigint AS at_ms, a.actor, a.action, a.reason,
                coalesce(a.detail, 'null') AS detail, u.username, u.number
         FROM admin_audit a JOIN users u ON u.id = a.user_id
         ORDER BY a.created_at DESC LIMIT $1",
    )
    .bind(i64::from(limit));
    let rows = timed(&app.metrics, doing, asked.fetch_all(&app.database)).await;
    let rows = rows.map_err(|error| sql_fault(doing, error))?;
    let deed = |row: &sqlx::postgres::PgRow| Deed {
        at_ms: row.get("at_ms"),
        actor: row.get("actor"),
        action: row.get("action"),
        username: row.get("username"),
        number: row.get("number"),
        reason: row.get("reason"),
        detail: row.get("detail"),
    };
    Ok(rows.iter().map(deed).collect())
}
