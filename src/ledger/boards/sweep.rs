//! Deletes the entries of closed periods that are older than a board keeps. Their roots, signatures and revisions stay.

use super::close::begin_revising;
use crate::board::Definition;
use crate::db::Database;

/// Deletes the entries of the oldest closed period beyond the newest `keep_periods`. Returns false if there is none.
pub async fn delete_old_entries(database: &Database, board: &Definition) -> Result<bool, sqlx::Error> {
    let old = sqlx::query_scalar(
        "SELECT period FROM (SELECT period, has_entries FROM board_periods WHERE board = $1 AND closed_at IS NOT NULL
                             ORDER BY ends_us DESC OFFSET $2) AS it
         WHERE has_entries LIMIT 1",
    );
    let old = old.bind(&board.id).bind(i64::from(board.keep_periods)).fetch_optional(database).await?;
    let Some(period): Option<String> = old else { return Ok(false) };
    let mut transaction = begin_revising(database).await?;
    for sql in [
        "DELETE FROM board_entries WHERE board = $1 AND period = $2",
        "UPDATE board_periods SET has_entries = FALSE WHERE board = $1 AND period = $2",
    ] {
        sqlx::query(sql).bind(&board.id).bind(&period).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}
