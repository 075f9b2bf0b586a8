//! Where a player stands: the current place on each board, and the best one of closed periods.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::try_join_all;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Entries;
use super::closed::{COLUMNS, placed_entry};
use crate::board::Definition;
use crate::db::{ANSWER_TIMEOUT, sql_fault, timed, with_timeout};
use crate::error::{Error, Refusal, Result};
use crate::store::PlacedEntry;

/// An entry, and the id of its period.
pub type PeriodPlace = (String, PlacedEntry);

/// A player's places on one board.
#[derive(Clone, Debug)]
pub struct BoardPlaces {
    /// Id of the board.
    pub board: String,
    /// The place in the current period.
    pub current: Option<PeriodPlace>,
    /// The best place in closed periods whose entries are kept; of equal ones the earliest.
    pub best: Option<PeriodPlace>,
}

impl Entries {
    /// A player's places on those of these boards where the player has one.
    ///
    /// # Errors
    /// A store is unavailable.
    pub async fn places(&self, boards: &[Arc<Definition>], user: Uuid) -> Result<Vec<BoardPlaces>> {
        let current = try_join_all(boards.iter().map(|board| self.current_place(board, user)));
        let (current, mut best) = tokio::try_join!(current, self.best_places(boards, user))?;
        let places = boards.iter().zip(current).map(|(board, current)| BoardPlaces {
            best: best.remove(&board.id),
            board: board.id.clone(),
            current,
        });
        Ok(places.filter(|places| places.current.is_some() || places.best.is_some()).collect())
    }

    async fn current_place(&self, board: &Definition, user: Uuid) -> Result<Option<PeriodPlace>> {
        match self.lookup(board, &board.id, None, &[user]).await {
            // The list of open periods may be a second old.
            Ok((snapshot, _)) if snapshot.state != "open" => Ok(None),
            Ok((snapshot, mut found)) => Ok(found.pop().map(|entry| (snapshot.period, entry))),
            // Before the first period, or after the last one.
            Err(Error::Refused(Refusal::PeriodNotFound)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The best place on each board in closed periods: one look at the index `board_entries_best` for each board.
    async fn best_places(
        &self,
        boards: &[Arc<Definition>],
        user: Uuid,
    ) -> Result<HashMap<String, PeriodPlace>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT id, best.* FROM unnest($1::text[]) AS id CROSS JOIN LATERAL (
                 SELECT period, {COLUMNS} FROM board_entries WHERE user_id = $2 AND board = id AND split = ''
                 ORDER BY position, achieved_us LIMIT 1) AS best"
        ));
        let query_name = "find_best_places";
        let ids: Vec<&str> = boards.iter().map(|board| board.id.as_str()).collect();
        let find = sqlx::query(sql).bind(ids).bind(user).fetch_all(&self.database);
        let rows = with_timeout(query_name, ANSWER_TIMEOUT, timed(&self.metrics, query_name, find)).await?;
        let place = |row: &PgRow| Ok((row.try_get("id")?, (row.try_get("period")?, placed_entry(row)?)));
        let places: Result<_, sqlx::Error> = rows.iter().map(place).collect();
        Ok(places.map_err(|error| sql_fault(query_name, error))?)
    }
}
