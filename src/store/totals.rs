//! Totals in bulk, to be compared with the ledger. Not for the award path.

use uuid::Uuid;

use super::Store;
use super::shard::Shard;
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
        let mut totals = Vec::with_capacity(users.len());
        for (shard, places) in self.places_by_shard(users) {
            let mut pipeline = redis::pipe();
            let mut members = redis::cmd("ZMSCORE");
            members.arg(&shard.keys.board);
            let mut own = redis::cmd("MGET");
            for user in places.iter().map(|it| users[*it]) {
                members.arg(user.to_string());
                own.arg(shard.keys.user_score(user));
            }
            pipeline.add_command(members).add_command(own);
            let (board, own): (Vec<Option<f64>>, Vec<Option<u64>>) =
                self.ask_all(shard, "read_scores", &pipeline).await?;
            let its = board.into_iter().zip(own);
            let its = its.map(|(board, own)| Total { board: board.map(|it| it as u64), own });
            totals.extend(places.into_iter().zip(its));
        }
        Ok(in_order(totals))
    }

    /// The shards that some users are in, each with the places of its own among them.
    pub(super) fn places_by_shard(&self, users: &[Uuid]) -> Vec<(&Shard, Vec<usize>)> {
        let places = self.shards.iter().map(|shard| {
            let its = |place: &usize| self.shard_number(users[*place]) == shard.number;
            (shard, (0..users.len()).filter(its).collect::<Vec<_>>())
        });
        places.filter(|(_, its)| !its.is_empty()).collect()
    }

    /// Some members of the board in one shard, by its number.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn members(&self, shard: usize, cursor: u64) -> Result<Members, Fault> {
        let shard = &self.shards[shard];
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(&shard.keys.board).arg(cursor).arg("COUNT").arg(5000);
        let (cursor, pairs): (u64, Vec<(String, f64)>) = self.ask(shard, "scan_board", &scan).await?;
        Ok(Members { users: pairs.into_iter().map(|(user, _)| user).collect(), cursor })
    }
}

/// What was said of each, in the order of their places.
pub fn in_order<T>(mut told: Vec<(usize, T)>) -> Vec<T> {
    told.sort_by_key(|(place, _)| *place);
    told.into_iter().map(|(_, it)| it).collect()
}
