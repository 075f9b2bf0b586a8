//! News for one user.

/// What goes out on a user's own channel after an award.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalNews {
    /// The new total.
    pub score: u64,
    /// The rank it gives, if there are points.
    pub rank: Option<u64>,
    /// The rank before, if there was a score.
    pub rank_before: Option<u64>,
    /// What it was worth; below 0 if an operator took points away.
    pub points: i64,
    /// Grows with every award of the board.
    pub hlc_us: i64,
}

impl PersonalNews {
    /// Reads a message of a personal channel.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        Some(Self {
            score: number()? as u64,
            rank: Some(number()? as u64).filter(|it| *it > 0),
            rank_before: Some(number()? as u64).filter(|it| *it > 0),
            points: number()?,
            hlc_us: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PersonalNews;

    #[test]
    fn without_points_there_is_no_rank() {
        let gone = PersonalNews { score: 0, rank: None, rank_before: None, points: -40, hlc_us: 7 };
        assert_eq!(PersonalNews::parse("0 0 0 -40 7"), Some(gone));
        let first = PersonalNews { score: 10, rank: Some(3), rank_before: None, points: 10, hlc_us: 8 };
        assert_eq!(PersonalNews::parse("10 3 0 10 8"), Some(first));
    }
}
