//! The entries of boards that follow the ledger. A period of a board is a sorted set, whole in one slot of Redis; `lua/apply_entries.lua`
//! is the only script that changes one in place.

pub mod apply;
pub mod load;
pub mod order;
pub mod read;
pub mod scan;

use crate::store::shard::Shard;

/// One period of a board in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodKey<'a> {
    /// Id of the board.
    pub board: &'a str,
    /// Id of the period.
    pub period: &'a str,
}

impl PeriodKey<'_> {
    /// The sorted set. The keys of its other parts begin with it.
    fn scores(self, place: &Shard) -> String {
        place.keys.period(self.period)
    }
}
