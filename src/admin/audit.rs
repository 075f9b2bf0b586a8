//! The table `admin_audit`.

use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use super::Decision;
use crate::error::Result;
use crate::ledger::sql_fault;

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

/// Writes one row.
pub(super) async fn note(
    connection: &mut PgConnection,
    id: Uuid,
    user: Uuid,
    action: &str,
    decision: &Decision,
    detail: Option<Value>,
) -> Result<()> {
    let written = sqlx::query(
        "INSERT INTO admin_audit (id, actor, action, user_id, reason, detail) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(&decision.actor)
    .bind(action)
    .bind(user)
    .bind(&decision.reason)
    .bind(detail)
    .execute(connection)
    .await;
    written.map(drop).map_err(|error| sql_fault("write the audit", error).into())
}

/// The newest deeds.
///
/// # Errors
/// Postgres is away.
pub async fn audit(database: &PgPool, limit: u32) -> Result<Vec<Deed>> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM a.created_at) * 1000)::bigint AS at_ms, a.actor, a.action, a.reason,
                coalesce(a.detail, 'null') AS detail, u.username, u.number
         FROM admin_audit a JOIN users u ON u.id = a.user_id
         ORDER BY a.created_at DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(database)
    .await
    .map_err(|error| sql_fault("read the audit", error))?;
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
