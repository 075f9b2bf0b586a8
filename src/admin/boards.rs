//! Boards that admins create at run time, and the parts of their definitions that may change.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};

use super::audit::Operation;
use super::{Decision, audit};
use crate::admin::Admin;
use crate::board::{Definition, Period, read_keys};
use crate::db::{Database, begin, sql_fault, timed};
use crate::error::{FieldError, Refusal, Result};
use crate::ledger::read_created_boards;

/// The keys that may change while a period is open.
const CHANGEABLE: [&str; 3] = ["title", "keep_periods", "visibility"];
/// Periods that a preview has at most.
const PREVIEWED: usize = 5;

/// A board that does not exist yet, and its first periods.
#[derive(Clone, Debug)]
pub struct BoardPreview {
    /// The board.
    pub definition: Definition,
    /// The current period and the next ones.
    pub periods: Vec<Period>,
}

/// Checks the keys of a new board as the file's are checked.
///
/// # Errors
/// The problems of the keys; all periods are over; the id is or was used; a store is unavailable.
pub async fn preview_board(admin: &Admin, keys: &Map<String, Value>) -> Result<BoardPreview> {
    let preview = check(admin, keys, admin.store.now_us().await?)?;
    let id = &preview.definition.id;
    let query_name = "find_board";
    let find = sqlx::query_scalar("SELECT EXISTS (SELECT FROM boards WHERE id = $1)").bind(id);
    let found = timed(&admin.metrics, query_name, find.fetch_one(&admin.database)).await;
    let was_used: bool = found.map_err(|error| sql_fault(query_name, error))?;
    if was_used || admin.ledger.boards.find(id).is_ok() {
        return Err(Refusal::AlreadyExists { field: "id" }.into());
    }
    Ok(preview)
}

fn check(admin: &Admin, keys: &Map<String, Value>, now_us: i64) -> Result<BoardPreview> {
    let definition = admin.ledger.boards.read_new(keys).map_err(Refusal::Validation)?;
    let now = Timestamp::from_microsecond(now_us).unwrap_or_default();
    let first = definition.schedule.at_or_after(now);
    let first = first.ok_or_else(|| Refusal::field("period.until", "must be in the future"))?;
    let periods = std::iter::successors(Some(first), |period| definition.schedule.next(period));
    Ok(BoardPreview { periods: periods.take(PREVIEWED).collect(), definition })
}

/// Creates a board. Other nodes know it within a second. With a key, that happens once per actor.
///
/// # Errors
/// The problems of the keys; all periods are over; the id is or was used; the key was used for another operation; a store is unavailable.
pub async fn create_board(
    admin: &Admin,
    keys: &Map<String, Value>,
    key: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    let now_us = admin.store.now_us().await?;
    let BoardPreview { definition, .. } = check(admin, keys, now_us)?;
    let query_name = "create_board";
    let fault = |error| sql_fault(query_name, error);
    let call = admin.metrics.postgres(query_name);
    let mut transaction = begin_change(&admin.database).await.map_err(fault)?;
    let detail = json!({ "board": definition.id, "definition": keys });
    let operation = Operation { user: None, action: "create_board", decision, key, detail: Some(&detail) };
    if !audit::insert(&mut transaction, admin.clock.new_id(), &operation).await? {
        audit::find_by_key(&mut transaction, &operation).await?;
        call.answered();
        return Ok(read_created_boards(&admin.ledger).await?);
    }
    let insert = sqlx::query(
        "INSERT INTO boards (id, since_us, definition, created_by, version)
         SELECT $1, $2, $3, $4, coalesce(max(version), 0) + 1 FROM boards ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(&definition.id).bind(now_us).bind(Json(keys)).bind(&decision.actor);
    let inserted = insert.execute(&mut *transaction).await.map_err(fault)?.rows_affected() > 0;
    // The leader may not have seen a board of this node's file yet.
    if !inserted || admin.ledger.boards.find(&definition.id).is_ok() {
        call.answered();
        return Err(Refusal::AlreadyExists { field: "id" }.into());
    }
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(operation.action, None, Some(&detail));
    Ok(read_created_boards(&admin.ledger).await?)
}

/// Changes the title, the number of kept periods or the visibility of a board that an admin created. With a key, that happens once per actor.
///
/// # Errors
/// There is no such board, or it is in the file; another key is given, or a value is invalid; the idempotency key was used for another
/// operation; Postgres is unavailable.
pub async fn change_board(
    admin: &Admin,
    id: &str,
    changes: &Map<String, Value>,
    key: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    let fixed = changes.keys().filter(|name| !CHANGEABLE.contains(&name.as_str()));
    let fixed: Vec<_> = fixed
        .map(|name| FieldError::new(name, "cannot be changed, only title, keep_periods and visibility"))
        .collect();
    if !fixed.is_empty() {
        return Err(Refusal::Validation(fixed).into());
    }
    let query_name = "change_board";
    let fault = |error| sql_fault(query_name, error);
    let call = admin.metrics.postgres(query_name);
    let mut transaction = begin_change(&admin.database).await.map_err(fault)?;
    let read = sqlx::query_scalar("SELECT definition FROM boards WHERE id = $1 AND definition IS NOT NULL");
    let keys = read.bind(id).fetch_optional(&mut *transaction).await.map_err(fault)?;
    let Some(Json::<Map<String, Value>>(mut keys)) = keys else {
        call.answered();
        admin.ledger.boards.find(id)?;
        let problem = "was not created by an admin: change it in the file of boards";
        return Err(Refusal::field("board", problem).into());
    };
    let detail = json!({ "board": id, "changes": changes });
    let operation = Operation { user: None, action: "change_board", decision, key, detail: Some(&detail) };
    if !audit::insert(&mut transaction, admin.clock.new_id(), &operation).await? {
        audit::find_by_key(&mut transaction, &operation).await?;
        call.answered();
        return Ok(read_created_boards(&admin.ledger).await?);
    }
    keys.extend(changes.clone());
    if let Err(problems) = read_keys(&keys, None) {
        call.answered();
        return Err(Refusal::Validation(problems).into());
    }
    let update = sqlx::query(
        "UPDATE boards SET definition = $2, version = (SELECT max(version) + 1 FROM boards) WHERE id = $1",
    );
    update.bind(id).bind(Json(&keys)).execute(&mut *transaction).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(operation.action, None, Some(&detail));
    Ok(read_created_boards(&admin.ledger).await?)
}

/// Begins a transaction that changes definitions. There is one at a time, so versions are visible in their order.
async fn begin_change(database: &Database) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut transaction = begin(database, "BEGIN").await?;
    sqlx::query("LOCK TABLE boards IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    Ok(transaction)
}
