//! Decisions about the periods of boards: close one before the time to settle is over, hold its close back, or load the open ones again.

use serde_json::json;
use sqlx::Row;

use super::audit::Operation;
use super::{Decision, audit};
use crate::admin::Admin;
use crate::db::{begin, sql_fault};
use crate::error::{Refusal, Result};
use crate::ledger::request_board_loads;

/// A decision about a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodAction {
    /// The leader closes it now, and does not wait until the time to settle is over.
    Close,
    /// It is not closed until it is released.
    Hold,
    /// Ends a hold.
    Release,
}

impl PeriodAction {
    /// The action in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Hold => "hold",
            Self::Release => "release",
        }
    }

    fn audit_action(self) -> &'static str {
        match self {
            Self::Close => "close_period",
            Self::Hold => "hold_period",
            Self::Release => "release_period",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Close => "UPDATE board_periods SET closes_us = ends_us WHERE board = $1 AND period = $2",
            Self::Hold => "UPDATE board_periods SET held_by = $3 WHERE board = $1 AND period = $2",
            Self::Release => "UPDATE board_periods SET held_by = NULL WHERE board = $1 AND period = $2",
        }
    }
}

/// Stores a decision about a period. The leader follows it within a second. With a key, the operation happens once per actor.
///
/// # Errors
/// There is no such period, or it is closed; it has not ended or is held, and so cannot be closed; it is held already, or not held; the key
/// was used for another operation; a store is unavailable.
pub async fn decide_period(
    admin: &Admin,
    board: &str,
    period: &str,
    action: PeriodAction,
    key: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    let query_name = "decide_period";
    let fault = |error| sql_fault(query_name, error);
    let call = admin.metrics.postgres(query_name);
    let now_us = admin.store.now_us().await?;
    let mut transaction = begin(&admin.database, "BEGIN").await.map_err(fault)?;
    // A close that runs locks the row too.
    let row = sqlx::query(
        "SELECT ends_us <= $3 AS is_over, held_by IS NOT NULL AS is_held, closed_at IS NOT NULL AS is_closed
         FROM board_periods WHERE board = $1 AND period = $2 FOR UPDATE",
    );
    let row = row.bind(board).bind(period).bind(now_us).fetch_optional(&mut *transaction).await;
    let Some(row) = row.map_err(fault)? else {
        call.answered();
        return Err(Refusal::PeriodNotFound.into());
    };
    let (is_over, is_held): (bool, bool) = (row.get("is_over"), row.get("is_held"));
    let detail = json!({ "board": board, "period": period });
    let operation =
        Operation { user: None, action: action.audit_action(), decision, key, detail: Some(&detail) };
    if !audit::insert(&mut transaction, admin.clock.new_id(), &operation).await? {
        audit::find_by_key(&mut transaction, &operation).await?;
        call.answered();
        return Ok(());
    }
    let problem = match action {
        _ if row.get("is_closed") => Some("is closed"),
        PeriodAction::Close if !is_over => Some("has not ended"),
        PeriodAction::Close if is_held => Some("is held: release it first"),
        PeriodAction::Hold if is_held => Some("is held already"),
        PeriodAction::Release if !is_held => Some("is not held"),
        _ => None,
    };
    if let Some(problem) = problem {
        call.answered();
        return Err(Refusal::field("period", problem).into());
    }
    let update = sqlx::query(action.sql()).bind(board).bind(period);
    let update = if action == PeriodAction::Hold { update.bind(&decision.actor) } else { update };
    update.execute(&mut *transaction).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(operation.action, None, Some(&detail));
    Ok(())
}

/// Asks the leader to load the open periods of a board from the ledger again, and returns their ids. They stay readable, as stale until the
/// leader is done. A repeat with the same key asks again, which changes nothing.
///
/// # Errors
/// The board has no open period, the key was used for another operation, or a store is unavailable.
pub async fn rebuild(
    admin: &Admin,
    board: &str,
    key: Option<&str>,
    decision: &Decision,
) -> Result<Vec<String>> {
    let query_name = "rebuild_board";
    let call = admin.metrics.postgres(query_name);
    let detail = json!({ "board": board });
    let operation = Operation { user: None, action: "rebuild_board", decision, key, detail: Some(&detail) };
    let mut connection = admin.database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
    if !audit::insert(&mut connection, admin.clock.new_id(), &operation).await? {
        audit::find_by_key(&mut connection, &operation).await?;
    }
    call.answered();
    drop(connection);
    let periods = request_board_loads(&admin.ledger, Some(board)).await?;
    decision.log(operation.action, None, Some(&detail));
    if periods.is_empty() {
        return Err(Refusal::field("board", "has no open period").into());
    }
    Ok(periods.into_iter().map(|period| period.id).collect())
}
