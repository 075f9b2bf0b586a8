//! Totals in bulk, to be compared with the ledger. Not for the award path.

use uuid::Uuid;

use super::{Store, fault, keys};
use crate::error::Fault;

/// A user's total in its two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// In the board's sorted set.
    pub board: Option<u64>,
    /// In the user's own key.
    pub own: Option<u64>,
}

/// One step of a walk over all members of the board.
pub struct Members {
    /// Some members, perhaps seen before.
    pub users: Vec<String>,
    /// Where to go on; 0 at the end.
    pub cursor: u64,
}

impl Store {
    /// The totals of some users, in their order.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn totals(&self, users: &[Uuid]) -> Result<Vec<Total>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        let mut members = redis::cmd("ZMSCORE");
        members.arg(keys::BOARD);
        let mut own = redis::cmd("MGET");
        for user in users {
            members.arg(user.to_string());
            own.arg(keys::user_score(*user));
        }
        pipeline.add_command(members).add_command(own);
        let (board, own): (Vec<Option<f64>>, Vec<Option<u64>>) =
            pipeline.query_async(&mut self.command()).await.map_err(|error| fault("read totals", error))?;
        let totals = board.into_iter().zip(own);
        Ok(totals.map(|(board, own)| Total { board: board.map(|it| it as u64), own }).collect())
    }

    /// Some members of the board.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn members(&self, cursor: u64) -> Result<Members, Fault> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(keys::BOARD).arg(cursor).arg("COUNT").arg(5000);
        let (cursor, pairs): (u64, Vec<(String, f64)>) =
            scan.query_async(&mut self.command()).await.map_err(|error| fault("walk the board", error))?;
        Ok(Members { users: pairs.into_iter().map(|(user, _)| user).collect(), cursor })
    }
}
