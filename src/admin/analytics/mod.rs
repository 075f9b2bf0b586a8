//! What operators see at a glance, from the sums that `ledger::roll_up_forever` keeps: so an answer takes as long over ten million
//! entries as over ten. All times are UTC.

mod activity;
mod busy;
mod scores;
mod sessions;

pub use activity::{Activity, ActivityRow, activity};
pub use busy::{Busy, MostActive, most_active, peak_hours};
pub use scores::{Scores, scores};
pub use sessions::{Sessions, sessions};

use crate::ledger::HOUR_MS;
pub use crate::ledger::Period;

/// A day, in ms.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Whole hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By the hour.
    Hour,
    /// By the day.
    Day,
}

impl Step {
    /// As it stands in queries and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long one is.
    pub fn ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }
}

/// From the beginning of one hour or day to the end of another, in ms since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// It begins here.
    pub from_ms: i64,
    /// And ends before this.
    pub to_ms: i64,
}

impl Span {
    /// So many hours or days up to now, the present one among them.
    pub fn last(count: i64, step: Step, now_ms: i64) -> Self {
        let to_ms = (now_ms.div_euclid(step.ms()) + 1) * step.ms();
        Self { from_ms: to_ms - count * step.ms(), to_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_whole_steps_and_the_present_one_is_the_last() {
        let now_ms = 1_704_449_105_007;
        let hours = Span::last(2, Step::Hour, now_ms);
        assert_eq!(hours, Span { from_ms: 1_704_445_200_000, to_ms: 1_704_452_400_000 });
        let day = Span::last(1, Step::Day, now_ms);
        assert_eq!(day, Span { from_ms: 1_704_412_800_000, to_ms: 1_704_499_200_000 });
        assert_eq!(Span::last(1, Step::Hour, day.from_ms).from_ms, day.from_ms);
    }
}
