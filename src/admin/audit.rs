//! The audit log, table `admin_audit`. Rows are only added; the outcome is added to `detail`.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, Row};
use uuid::Uuid;

use super::{Adjustment, Decision};
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::{Refusal, Result};

/// A row of the audit log.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Time in ms since the Unix epoch.
    pub at_ms: i64,
    /// Who did it: a username, `cli:…` or `sql:…`.
    pub actor: String,
    /// `ban`, `adjust`, …
    pub action: String,
    /// Number and name of the affected user. None for an operation on a board.
    pub user: Option<(i64, String)>,
    /// Reason.
    pub reason: String,
    /// Parameters and outcome.
    pub detail: Value,
}

/// An operation to record.
pub(super) struct Operation<'a> {
    /// The affected user. None for an operation on a board.
    pub user: Option<Uuid>,
    /// `ban`, `adjust`, …
    pub action: &'a str,
    /// Actor and reason.
    pub decision: &'a Decision,
    /// Idempotency key, unique per actor.
    pub key: Option<&'a str>,
    /// Parameters and outcome.
    pub detail: Option<&'a Value>,
}

/// Why an operation was rejected. Stored in its row, so that a repeat with the same key is rejected in the same way, even if the operation
/// would be possible by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The total would have left its range.
    OutOfRange,
    /// The user was quarantined.
    Quarantined,
    /// The user was not quarantined.
    NotQuarantined,
}

impl Rejection {
    const ALL: [Self; 3] = [Self::OutOfRange, Self::Quarantined, Self::NotQuarantined];

    fn as_str(self) -> &'static str {
        match self {
            Self::OutOfRange => "out_of_range",
            Self::Quarantined => "quarantined",
            Self::NotQuarantined => "not_quarantined",
        }
    }

    /// The `detail` of the row.
    pub fn detail(self) -> Value {
        json!({ "refused": self.as_str() })
    }

    /// The error for the caller.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::OutOfRange => Refusal::field("points", "would take the score below 0 or above 2^53 - 1"),
            Self::Quarantined => {
                Refusal::field("userId", "is quarantined: approve or void the held points first")
            }
            Self::NotQuarantined => Refusal::field("userId", "is not quarantined: there are no held points"),
        }
    }
}

/// Inserts a row. Returns false if the actor has one with this key already.
pub(super) async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    operation: &Operation<'_>,
) -> Result<bool> {
    let Decision { actor, host, reason } = operation.decision;
    let mut detail = operation.detail.cloned();
    if let Some(host) = host {
        detail.get_or_insert_with(|| json!({}))["host"] = json!(host);
    }
    let written = sqlx::query(
        "INSERT INTO admin_audit (id, actor, action, user_id, reason, detail, idempotency_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, idempotency_key) DO NOTHING",
    )
    .bind(id)
    .bind(actor)
    .bind(operation.action)
    .bind(operation.user)
    .bind(reason)
    .bind(&detail)
    .bind(operation.key)
    .execute(connection)
    .await;
    Ok(written.map_err(|error| sql_fault("write_audit_row", error))?.rows_affected() == 1)
}

/// The id of the row with the operation's key.
///
/// # Errors
/// The key belongs to another operation; Postgres is unavailable.
pub(super) async fn find_by_key(connection: &mut PgConnection, operation: &Operation<'_>) -> Result<Uuid> {
    let empty = json!({});
    let query = sqlx::query(
        "SELECT id, user_id IS NOT DISTINCT FROM $3 AND action = $4 AND reason = $5 AND coalesce(detail, '{}') @> $6 AS same
         FROM admin_audit WHERE actor = $1 AND idempotency_key = $2",
    )
    .bind(&operation.decision.actor)
    .bind(operation.key)
    .bind(operation.user)
    .bind(operation.action)
    .bind(&operation.decision.reason)
    .bind(operation.detail.unwrap_or(&empty));
    let row = query.fetch_one(connection).await.map_err(|error| sql_fault("find_audit_key", error))?;
    if row.get("same") { Ok(row.get("id")) } else { Err(Refusal::IdempotencyMismatch.into()) }
}

/// Locks a row until the transaction ends. Returns the rejection, if the operation was rejected.
pub(super) async fn lock(
    admin: &Admin,
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Rejection>> {
    let query_name = "lock_audit_row";
    let sql = "SELECT detail->>'refused' FROM admin_audit WHERE id = $1 FOR UPDATE";
    let query = sqlx::query_scalar(sql).bind(id).fetch_one(connection);
    let refused: Option<String> =
        timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
    Ok(refused.and_then(|text| Rejection::ALL.into_iter().find(|rejection| rejection.as_str() == text)))
}

/// Adds the outcome to a row.
pub(super) async fn add_outcome(
    admin: &Admin,
    database: impl PgExecutor<'_>,
    id: Uuid,
    detail: Value,
) -> Result<()> {
    let query_name = "complete_audit_row";
    let sql = "UPDATE admin_audit SET detail = coalesce(detail, '{}') || $2 WHERE id = $1";
    let written =
        timed(&admin.metrics, query_name, sqlx::query(sql).bind(id).bind(detail).execute(database)).await;
    written.map(drop).map_err(|error| sql_fault(query_name, error).into())
}

/// The outcome of an event, from the ledger or from the audit.
pub(super) async fn find_outcome(connection: &mut PgConnection, id: Uuid) -> Result<Option<Adjustment>> {
    let sql = "SELECT coalesce(h.score_before, (a.detail->>'before')::bigint) AS before,
                      coalesce(h.score_after, (a.detail->>'after')::bigint) AS after
               FROM admin_audit a LEFT JOIN score_history h ON h.event_id = a.id WHERE a.id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await;
    let row = row.map_err(|error| sql_fault("find_event_outcome", error))?;
    let total = |name: &str| row.as_ref()?.get::<Option<i64>, _>(name).map(|total| total as u64);
    Ok(total("before").zip(total("after")).map(|(before, after)| Adjustment { event_id: id, before, after }))
}

/// The earlier void that a void was merged with, if any.
pub(super) async fn find_joined(connection: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>> {
    let sql = "SELECT (detail->>'joins')::uuid FROM admin_audit WHERE id = $1";
    let row = sqlx::query_scalar(sql).bind(id).fetch_one(connection).await;
    Ok(row.map_err(|error| sql_fault("find_joined_audit_row", error))?)
}

/// The newest rows.
///
/// # Errors
/// Postgres is unavailable.
pub async fn audit(admin: &Admin, limit: u32) -> Result<Vec<AuditEntry>> {
    let query_name = "read_audit_log";
    let query = sqlx::query(
        "SELECT (extract(epoch FROM a.created_at) * 1000)::bigint AS at_ms, a.actor, a.action, a.reason,
                coalesce(a.detail, 'null') AS detail, u.username, u.number
         FROM admin_audit a LEFT JOIN users u ON u.id = a.user_id
         ORDER BY a.created_at DESC LIMIT $1",
    )
    .bind(i64::from(limit));
    let rows = timed(&admin.metrics, query_name, query.fetch_all(&admin.database)).await;
    let rows = rows.map_err(|error| sql_fault(query_name, error))?;
    let entry = |row: &sqlx::postgres::PgRow| AuditEntry {
        at_ms: row.get("at_ms"),
        actor: row.get("actor"),
        action: row.get("action"),
        user: row.get::<Option<i64>, _>("number").zip(row.get("username")),
        reason: row.get("reason"),
        detail: row.get("detail"),
    };
    Ok(rows.iter().map(entry).collect())
}
