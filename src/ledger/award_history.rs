//! A player's awards as everyone may see them, newest first, in pages.

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::account::{self, UserRef};
use crate::cursor;
use crate::db::{sql_fault, timed};
use crate::error::Result;
use crate::ledger::Ledger;

/// One award.
#[derive(Clone, Debug)]
pub struct PastAward {
    /// The event's id, `jti` of its receipt.
    pub event_id: Uuid,
    /// The action's type.
    pub action_type: String,
    /// Points earned, from 0.
    pub points: i64,
    /// The value that the proof established, from 0, such as milliseconds.
    pub value: Option<i64>,
    /// What decides between equal values, from 0.
    pub subscore: Option<i64>,
    /// When, by Redis' clock: microseconds since the Unix epoch.
    pub hlc_us: i64,
}

/// A page of awards.
#[derive(Clone, Debug)]
pub struct AwardPage {
    /// Newest first.
    pub awards: Vec<PastAward>,
    /// Cursor of the next page. None at the end.
    pub next: Option<String>,
}

/// A player's awards in the ledger after a cursor, or the newest ones. Adjustments, held points and awards that were voided are left out.
/// The cursor is the clock value of the last award that was returned, so new awards move no page.
///
/// # Errors
/// There is no such user, or the user is banned; the cursor is not of this player's history; Postgres is unavailable.
pub async fn award_history(
    ledger: &Ledger,
    id: UserRef,
    after: Option<&str>,
    limit: u32,
) -> Result<AwardPage> {
    let user = account::find_player(&ledger.accounts, id).await?;
    let context = format!("history:{user}");
    let before = match after {
        Some(text) => {
            let position = ledger.cursors.open(&context, text)?;
            i64::from_be_bytes(position.try_into().map_err(|_| cursor::invalid())?)
        }
        None => i64::MAX,
    };
    let operation = "read_award_history";
    let query = sqlx::query(
        "SELECT event_id, action_type, points_earned, (note->>'value')::bigint AS value, (note->>'subscore')::bigint AS subscore, hlc_us
         FROM score_history
         WHERE user_id = $1 AND hlc_us < $2 AND action_token_hash <> '' AND NOT held AND voided_by IS NULL
         ORDER BY hlc_us DESC LIMIT $3",
    )
    .bind(user)
    .bind(before)
    .bind(i64::from(limit) + 1)
    .fetch_all(&ledger.database);
    let rows = timed(&ledger.metrics, operation, query).await;
    let read = |row: &PgRow| {
        Ok(PastAward {
            event_id: row.try_get("event_id")?,
            action_type: row.try_get("action_type")?,
            points: row.try_get("points_earned")?,
            value: row.try_get("value")?,
            subscore: row.try_get("subscore")?,
            hlc_us: row.try_get("hlc_us")?,
        })
    };
    let awards = rows.and_then(|rows| rows.iter().map(read).collect::<Result<Vec<_>, _>>());
    let mut awards = awards.map_err(|error| sql_fault(operation, error))?;
    let has_more = awards.len() > limit as usize;
    awards.truncate(limit as usize);
    let last = awards.last().filter(|_| has_more);
    let next = last.map(|award| ledger.cursors.seal(&context, &award.hlc_us.to_be_bytes()));
    Ok(AwardPage { awards, next })
}
