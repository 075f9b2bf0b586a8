//! News for one user.

/// What goes out on a user's own channel after an award.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalNews {
    /// The new total.
    pub score: u64,
    /// The rank it gives.
    pub rank: u64,
    /// The rank before, if there was a score.
    pub rank_before: Option<u64>,
    /// What it was worth; below 0 if an operator took points away.
    pub points: i64,
    /// Grows with every award of the board.
    pub moment: i64,
}

impl PersonalNews {
    /// Reads a message of a personal channel.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        Some(Self {
            score: number()? as u64,
            rank: number()? as u64,
            rank_before: Some(number()? as u64).filter(|it| *it > 0),
            points: number()?,
            moment: number()?,
        })
    }
}
