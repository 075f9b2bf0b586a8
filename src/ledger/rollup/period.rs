//! Calendar periods in UTC. Times are hours since the Unix epoch.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Milliseconds per hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Monday, January 5, 1970.
const FIRST_MONDAY: i64 = 4 * 24;

/// A calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
}

impl Period {
    /// All periods, shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The value in queries and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first hour of the period that contains `hour`.
    pub fn start(self, hour: i64) -> i64 {
        match self {
            Self::Hour => hour,
            Self::Day => hour - hour.rem_euclid(24),
            Self::Week => hour - (hour - FIRST_MONDAY).rem_euclid(7 * 24),
            Self::Month => hour_of(date_of(hour).first_of_month()),
        }
    }

    /// The first hour after the period that contains `hour`.
    pub fn end(self, hour: i64) -> i64 {
        match self {
            Self::Hour => hour + 1,
            Self::Day => self.start(hour) + 24,
            Self::Week => self.start(hour) + 7 * 24,
            Self::Month => hour_of(date_of(hour).last_of_month()) + 24,
        }
    }
}

/// Dates out of range become the epoch.
fn date_of(hour: i64) -> Date {
    let time = Timestamp::from_millisecond(hour.saturating_mul(HOUR_MS)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).date()
}

fn hour_of(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(0, |start| start.timestamp().as_millisecond().div_euclid(HOUR_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond() / HOUR_MS
    }

    #[test]
    fn periods_follow_the_calendar() {
        // A Sunday, and the last day of a month.
        let now = hour("2026-05-31T23:00:00Z");
        let spans = Period::ALL.map(|period| (period.start(now), period.end(now)));
        let end = hour("2026-06-01T00:00:00Z");
        assert_eq!(spans[0], (now, end));
        assert_eq!(spans[1], (hour("2026-05-31T00:00:00Z"), end));
        assert_eq!(spans[2], (hour("2026-05-25T00:00:00Z"), end));
        assert_eq!(spans[3], (hour("2026-05-01T00:00:00Z"), end));
        for period in Period::ALL {
            assert_eq!(period.start(end), end, "{period:?}");
            assert_eq!(period.start(period.end(end) - 1), end, "{period:?}");
        }
    }
}
