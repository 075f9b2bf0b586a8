//! Statistics for the admin console, from the rollups that `ledger::roll_up_forever` maintains, so that a query is as fast over ten million
//! entries as over ten. All times are UTC.

mod activity;
mod most_active;
mod scores;

pub use activity::{Activity, ActivityRow, Sessions, activity, sessions};
pub use most_active::{ActiveUser, MostActive, most_active, peak_hours};
pub use scores::{Scores, scores};

use crate::ledger::HOUR_MS;
pub use crate::ledger::Period;

/// Milliseconds per day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Resolution of a time series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By the hour.
    Hour,
    /// By the day.
    Day,
}

impl Step {
    /// The value in queries and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Length in ms.
    pub fn ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }
}

/// A range of whole hours or days, in ms since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start, inclusive.
    pub from_ms: i64,
    /// End, exclusive.
    pub to_ms: i64,
}

impl Span {
    /// The last `count` hours or days, including the current one.
    pub fn last(count: i64, step: Step, now_ms: i64) -> Self {
        let to_ms = (now_ms.div_euclid(step.ms()) + 1) * step.ms();
        Self { from_ms: to_ms - count * step.ms(), to_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_with_the_current_step() {
        let now_ms = 1_704_449_105_007;
        let hours = Span::last(2, Step::Hour, now_ms);
        assert_eq!(hours, Span { from_ms: 1_704_445_200_000, to_ms: 1_704_452_400_000 });
        let day = Span::last(1, Step::Day, now_ms);
        assert_eq!(day, Span { from_ms: 1_704_412_800_000, to_ms: 1_704_499_200_000 });
        assert_eq!(Span::last(1, Step::Hour, day.from_ms).from_ms, day.from_ms);
    }
}
