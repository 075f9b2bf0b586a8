//! Totals in bulk, for comparisons with the ledger. Not for the award path.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::shard::Shard;
use crate::store::{BoardId, Store};

/// A user's total in its two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Score in the board's sorted set.
    pub board: Option<u64>,
    /// Total in `user:score:<userId>`.
    pub own: Option<u64>,
}

/// One step of a scan over the board's users.
pub struct Members {
    /// Some users; a scan may return one twice.
    pub users: Vec<String>,
    /// The next cursor; 0 at the end.
    pub cursor: u64,
}

impl Store {
    /// The totals of some users, in their order.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn totals(&self, users: &[Uuid]) -> Result<Vec<Total>, Fault> {
        let mut totals = Vec::with_capacity(users.len());
        for (shard, places) in self.places_by_shard(users) {
            let mut pipeline = redis::pipe();
            let mut members = redis::cmd("ZMSCORE");
            members.arg(&shard.keys.board(BoardId::GLOBAL).scores);
            let mut own = redis::cmd("MGET");
            for user in places.iter().map(|place| users[*place]) {
                members.arg(user.to_string());
                own.arg(shard.keys.user_score(user));
            }
            pipeline.add_command(members).add_command(own);
            let (board, own): (Vec<Option<f64>>, Vec<Option<u64>>) =
                self.ask_all(shard, "read_scores", &pipeline).await?;
            let its = board.into_iter().zip(own);
            let its = its.map(|(board, own)| Total { board: board.map(|score| score as u64), own });
            totals.extend(places.into_iter().zip(its));
        }
        Ok(in_order(totals))
    }

    /// Groups users by shard: each shard with the indexes of its users.
    pub(in crate::store) fn places_by_shard(&self, users: &[Uuid]) -> Vec<(&Shard, Vec<usize>)> {
        let places = self.shards.iter().map(|shard| {
            let its = |place: &usize| self.shard_number(users[*place]) == shard.number;
            (shard, (0..users.len()).filter(its).collect::<Vec<_>>())
        });
        places.filter(|(_, its)| !its.is_empty()).collect()
    }

    /// One step of a scan over the board's users in one shard.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn members(&self, shard: usize, cursor: u64) -> Result<Members, Fault> {
        let shard = &self.shards[shard];
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(&shard.keys.board(BoardId::GLOBAL).scores).arg(cursor).arg("COUNT").arg(5000);
        let (cursor, pairs): (u64, Vec<(String, f64)>) = self.ask(shard, "scan_board", &scan).await?;
        Ok(Members { users: pairs.into_iter().map(|(user, _)| user).collect(), cursor })
    }
}

/// Sorts results by their indexes.
pub fn in_order<T>(mut results: Vec<(usize, T)>) -> Vec<T> {
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
