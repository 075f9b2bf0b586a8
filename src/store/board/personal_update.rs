//! One user's own update.

use std::fmt;

/// The message on a user's channel after an award or an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalUpdate {
    /// The new total.
    pub score: u64,
    /// The new rank, if there are points.
    pub rank: Option<u64>,
    /// The rank before, if there was a score.
    pub rank_before: Option<u64>,
    /// Points of the change; negative if an admin removed points.
    pub points: i64,
    /// HLC of the change.
    pub hlc_us: i64,
}

/// The message as `lua/lib/personal_update.lua` publishes it; a rank of 0 is none.
impl fmt::Display for PersonalUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rank, rank_before) = (self.rank.unwrap_or(0), self.rank_before.unwrap_or(0));
        write!(f, "{} {rank} {rank_before} {} {}", self.score, self.points, self.hlc_us)
    }
}

impl PersonalUpdate {
    /// Reads a message of a personal channel.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        Some(Self {
            score: number()? as u64,
            rank: Some(number()? as u64).filter(|rank| *rank > 0),
            rank_before: Some(number()? as u64).filter(|rank| *rank > 0),
            points: number()?,
            hlc_us: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::store::PersonalUpdate;

    #[test]
    fn without_points_there_is_no_rank() {
        let gone = PersonalUpdate { score: 0, rank: None, rank_before: None, points: -40, hlc_us: 7 };
        assert_eq!(PersonalUpdate::parse("0 0 0 -40 7"), Some(gone));
        assert_eq!(gone.to_string(), "0 0 0 -40 7");
        let first = PersonalUpdate { score: 10, rank: Some(3), rank_before: None, points: 10, hlc_us: 8 };
        assert_eq!(PersonalUpdate::parse("10 3 0 10 8"), Some(first));
    }
}
