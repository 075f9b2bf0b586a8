//! Compares what each void removed with the entries that it marks. Boards leave marked entries out, and the chain does not hash the marks.

use futures::TryStreamExt;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{Mismatch, Report};
use crate::db::sql_fault;
use crate::error::Fault;

/// Voids whose marked entries do not add up to what they removed, and marks without a void of their user. A void may have removed points
/// that are not in the ledger because they are in a dead letter or in a detached month. If the void itself is in a detached month, what it
/// removed is not known.
const MISMATCHES: &str = "
    SELECT coalesce(void, voided_by) AS void, removed, coalesce(marked, 0) AS marked
    FROM (SELECT event_id AS void, user_id, -points_earned AS removed
          FROM held_decisions LEFT JOIN score_history USING (event_id, user_id) WHERE is_void) voids
    FULL JOIN (SELECT voided_by, user_id, sum(points_earned)::bigint AS marked
               FROM score_history WHERE voided_by IS NOT NULL GROUP BY voided_by, user_id) marks
         ON marks.voided_by = voids.void AND marks.user_id = voids.user_id
    WHERE void IS NULL OR coalesce(marked, 0) > removed
       OR (coalesce(marked, 0) < removed
           AND NOT EXISTS (SELECT FROM dead_letters
                           WHERE dead_letters.user_id = voids.user_id AND kind = 'awarded' AND state <> 'written')
           AND NOT EXISTS (SELECT FROM score_history carried
                           WHERE carried.user_id = voids.user_id AND action_type = 'carried' AND action_token_hash = ''))";

/// Reports the voids whose marks do not agree with them.
pub async fn check(database: &PgPool, report: &mut Report<'_>) -> Result<(), Fault> {
    let mut rows = sqlx::query(MISMATCHES).fetch(database);
    while let Some(row) = rows.try_next().await.map_err(|error| sql_fault("read_void_marks", error))? {
        let (void, marked): (Uuid, i64) = (row.get("void"), row.get("marked"));
        let detail = match row.get::<Option<i64>, _>("removed") {
            Some(removed) => format!("removed {removed} points, but the entries that it marks have {marked}"),
            None => format!("marks entries of {marked} points, but their user has no such void"),
        };
        report(Mismatch::new(format!("void {void}"), detail));
    }
    Ok(())
}
