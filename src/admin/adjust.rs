//! Adjusts a user's total. The intent is written to the audit first, with the event's id, so an interrupted adjustment can be repeated with
//! its key and happens once. The audit row is locked during the adjustment: of several concurrent repeats, on any nodes, one does it and
//! the others return its outcome.

use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Decision;
use super::audit::{self, Operation, Rejection};
use crate::account::User;
use crate::admin::Admin;
use crate::award::CLOSED;
use crate::db::{begin, sql_fault, timed};
use crate::error::{Refusal, Result};
use crate::ledger::{DUPLICATE_WINDOW_DAYS, await_top, candidates_for};
use crate::store::{Adjust, AdminRefusal, BoardId, TotalChange};

/// A changed total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The event's id in the ledger.
    pub event_id: Uuid,
    /// The total before.
    pub before: u64,
    /// The total after.
    pub after: u64,
}

/// Adds `points` to a total (negative to deduct), as an event of its own in the ledger. With a key, the operation happens once per actor; a
/// repeat gets the first outcome.
///
/// # Errors
/// The total would leave its range; the user is quarantined; the key was used for another operation; a store is unavailable. In the last
/// case a repeat with the same key continues.
pub async fn adjust(
    admin: &Admin,
    user: &User,
    points: i64,
    key: Option<&str>,
    decision: &Decision,
) -> Result<Adjustment> {
    if points == 0 {
        // It would move the user behind everyone with the same score, as if the score had been reached just now.
        return Err(Refusal::field("points", "must not be 0").into());
    }
    let detail = json!({ "points": points });
    let operation = Operation { user: Some(user.id), action: "adjust", decision, key, detail: Some(&detail) };
    let event_id = record_intent(admin, &operation).await?;
    // Before the transaction: this needs connections of its own and may wait for the ledger.
    let candidates = candidates_for(&admin.ledger, user.id).await?;
    let adjust = Adjust {
        board: BoardId::GLOBAL,
        user: user.id,
        number: user.number,
        username: &user.username,
        event_id,
        points: Some(points),
        note: &note(decision),
        publish_interval_ms: admin.config.live.publish_interval_ms,
        outbox_max: admin.config.outbox.max_entries,
        candidates: &candidates,
    };
    let query_name = "adjust_score";
    let mut transaction =
        begin(&admin.database, "BEGIN").await.map_err(|error| sql_fault(query_name, error))?;
    if let Some(rejection) = audit::lock(admin, &mut transaction, event_id).await? {
        return Err(rejection.refusal().into());
    }
    if let Some((before, after)) = find_written(admin, &mut transaction, event_id).await? {
        return Ok(Adjustment { event_id, before, after });
    }
    // Holds the lock: nobody else can apply or reject the event between the checks above and the audit update below.
    let adjusted = match admin.store.adjust(&adjust).await? {
        Ok(adjusted) => Ok(adjusted),
        // Neither applied nor rejected: a repeat continues.
        Err(AdminRefusal::Unavailable) => return Err(Refusal::Unavailable(CLOSED).into()),
        // The script looks for the event first, so neither Redis nor the ledger has it.
        Err(AdminRefusal::OutOfRange) => Err(Rejection::OutOfRange),
        Err(AdminRefusal::Quarantined) => Err(Rejection::Quarantined),
    };
    let detail = adjusted.as_ref().map_or_else(|rejection| rejection.detail(), outcome);
    audit::add_outcome(admin, &mut *transaction, event_id, detail.clone()).await?;
    transaction.commit().await.map_err(|error| sql_fault(query_name, error))?;
    decision.log(operation.action, Some(user.id), Some(&detail));
    let adjusted = adjusted.map_err(Rejection::refusal)?;
    await_top(&admin.ledger, user.id, adjusted.top).await?;
    Ok(Adjustment { event_id, before: adjusted.before, after: adjusted.after })
}

/// Actor and reason, as in the ledger.
pub(super) fn note(decision: &Decision) -> String {
    json!({ "actor": decision.actor, "reason": decision.reason }).to_string()
}

/// The outcome, as in the audit.
pub(super) fn outcome(adjusted: &TotalChange) -> Value {
    json!({ "before": adjusted.before, "after": adjusted.after })
}

/// Writes the audit row. Returns the event's id: a new one, or that of the earlier operation with this key.
async fn record_intent(admin: &Admin, operation: &Operation<'_>) -> Result<Uuid> {
    let query_name = "record_adjustment";
    let call = admin.metrics.postgres(query_name);
    let mut connection = admin.database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
    let id = admin.clock.new_id();
    let is_new = audit::insert(&mut connection, id, operation).await?;
    let id = if is_new { id } else { audit::find_by_key(&mut connection, operation).await? };
    call.answered();
    Ok(id)
}

/// The totals before and after, if the ledger has the event, or had it in a month that was detached: such months are older than the window.
/// The audit and the ledger use two clocks, so one day of tolerance is subtracted.
async fn find_written(
    admin: &Admin,
    connection: &mut PgConnection,
    event_id: Uuid,
) -> Result<Option<(u64, u64)>> {
    let sql = "SELECT score_before, score_after FROM score_history WHERE event_id = $1
               UNION ALL
               SELECT (detail->>'before')::bigint, (detail->>'after')::bigint FROM admin_audit
               WHERE id = $1 AND detail ? 'after' AND created_at < now() - make_interval(days => $2)
               LIMIT 1";
    let query_name = "find_event";
    let query = sqlx::query(sql).bind(event_id).bind(DUPLICATE_WINDOW_DAYS - 1).fetch_optional(connection);
    let row = timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
    Ok(row.map(|row| (row.get::<i64, _>("score_before") as u64, row.get::<i64, _>("score_after") as u64)))
}
