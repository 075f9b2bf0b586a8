//! Periods of the calendar, in UTC. A moment is the number of its hour since the Unix epoch.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// An hour, in ms.
pub const HOUR_MS: i64 = 3_600_000;
/// Monday the 5th of January 1970.
const FIRST_MONDAY: i64 = 4 * 24;

/// A period of the calendar.
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
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// As it stands in queries and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first hour of the period that has this one.
    pub fn begins(self, hour: i64) -> i64 {
        match self {
            Self::Hour => hour,
            Self::Day => hour - hour.rem_euclid(24),
            Self::Week => hour - (hour - FIRST_MONDAY).rem_euclid(7 * 24),
            Self::Month => hour_of(date_of(hour).first_of_month()),
        }
    }

    /// The first hour after the period that has this one.
    pub fn ends(self, hour: i64) -> i64 {
        match self {
            Self::Hour => hour + 1,
            Self::Day => self.begins(hour) + 24,
            Self::Week => self.begins(hour) + 7 * 24,
            Self::Month => hour_of(date_of(hour).last_of_month()) + 24,
        }
    }
}

/// A clock that is wrong by millennia is taken for the epoch.
fn date_of(hour: i64) -> Date {
    let time = Timestamp::from_millisecond(hour.saturating_mul(HOUR_MS)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).date()
}

fn hour_of(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(0, |it| it.timestamp().as_millisecond().div_euclid(HOUR_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond() / HOUR_MS
    }

    #[test]
    fn periods_begin_and_end_by_the_calendar() {
        // A Sunday, and the last day of a month.
        let now = hour("2026-05-31T23:00:00Z");
        let spans = Period::ALL.map(|it| (it.begins(now), it.ends(now)));
        let end = hour("2026-06-01T00:00:00Z");
        assert_eq!(spans[0], (now, end));
        assert_eq!(spans[1], (hour("2026-05-31T00:00:00Z"), end));
        assert_eq!(spans[2], (hour("2026-05-25T00:00:00Z"), end));
        assert_eq!(spans[3], (hour("2026-05-01T00:00:00Z"), end));
        for period in Period::ALL {
            assert_eq!(period.begins(end), end, "{period:?}");
            assert_eq!(period.begins(period.ends(end) - 1), end, "{period:?}");
        }
    }
}
