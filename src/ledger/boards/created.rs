//! The boards that admins created, as Postgres has them. Every node reads their changes twice a second.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::types::Json;
use tokio::sync::Mutex;

use crate::board::{BoardProblems, Boards, read_keys};
use crate::db::{ANSWER_TIMEOUT, Database, sql_fault, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;

const INTERVAL: Duration = Duration::from_millis(500);

/// The keys of a board's definition.
type Keys = Json<Map<String, Value>>;

/// Adds all boards that admins created to those of the file.
///
/// # Errors
/// A board is in the file too; Postgres is unavailable.
pub async fn load_created_boards(database: &Database, boards: &Boards, file: &str) -> Result<(), Fault> {
    let query_name = "read_created_boards";
    let rows: Vec<(String, String, Keys)> = sqlx::query_as(
        "SELECT id, created_by, definition FROM boards WHERE definition IS NOT NULL ORDER BY since_us, id",
    )
    .fetch_all(database)
    .await
    .map_err(|error| sql_fault(query_name, error))?;
    let file = if file.is_empty() { "the built-in boards" } else { file };
    let mut problems = Vec::new();
    for (id, created_by, Json(keys)) in rows {
        if boards.find(&id).is_ok() {
            problems.push(format!(
                "board {id} of {file} has the id of the board {id} that {created_by} created at run time: choose another id"
            ));
        } else {
            put(boards, &keys);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Fault::new(query_name, BoardProblems(problems))) }
}

/// Follows changes of these boards for ever.
pub async fn follow_created_boards_forever(ledger: Arc<Ledger>) {
    loop {
        if let Err(fault) = read_created_boards(&ledger).await {
            tracing::debug!(%fault, "boards that admins created not read, retrying");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The newest version of a definition that this node has.
#[derive(Default)]
pub struct KnownVersion(Mutex<i64>);

/// Reads what changed of these boards since the last time.
///
/// # Errors
/// Postgres is unavailable.
pub async fn read_created_boards(ledger: &Ledger) -> Result<(), Fault> {
    let query_name = "read_changed_boards";
    // Held while Postgres answers: an older answer must not replace a newer definition.
    let mut known_version = ledger.boards_version.0.lock().await;
    let read = sqlx::query_as(
        "SELECT definition, version FROM boards WHERE definition IS NOT NULL AND version > $1 ORDER BY version",
    );
    let read = read.bind(*known_version).fetch_all(&ledger.database);
    let read = timed(&ledger.metrics, query_name, read);
    let changed: Vec<(Keys, i64)> = with_timeout(query_name, ANSWER_TIMEOUT, read).await?;
    for (Json(keys), version) in changed {
        put(&ledger.boards, &keys);
        *known_version = version;
    }
    Ok(())
}

fn put(boards: &Boards, keys: &Map<String, Value>) {
    match read_keys(keys, None) {
        Ok(definition) => boards.put(definition),
        // A newer release may know more keys.
        Err(problems) => {
            let id = keys.get("id").map(Value::to_string).unwrap_or_default();
            tracing::error!(id, ?problems, "a board that an admin created cannot be read");
        }
    }
}
