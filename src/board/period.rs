//! The periods of a board: which one contains an instant, and its neighbors. Boundaries are instants, computed from wall-clock times in
//! the board's time zone. Periods are half-open: the end of one is the start of the next.

use jiff::civil::{Date, DateTime, Time, Weekday, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Span;

/// One run of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// `2026-11-28`, `2026-W48`, `2026-11`, `2026`, `p17`, or `all`. Unique on its board.
    pub id: String,
    /// Its first instant; `None` for `all`.
    pub starts_at: Option<Timestamp>,
    /// The instant after its last one; `None` for `all`.
    pub ends_at: Option<Timestamp>,
}

impl Period {
    fn new(id: String, starts_at: Timestamp, ends_at: Timestamp) -> Self {
        Self { id, starts_at: Some(starts_at), ends_at: Some(ends_at) }
    }

    /// Its first instant in µs since the Unix epoch; `i64::MIN` for `all`.
    pub fn starts_us(&self) -> i64 {
        self.starts_at.map_or(i64::MIN, Timestamp::as_microsecond)
    }

    /// The instant after its last one in µs since the Unix epoch; `i64::MAX` for `all`.
    pub fn ends_us(&self) -> i64 {
        self.ends_at.map_or(i64::MAX, Timestamp::as_microsecond)
    }

    /// True if the instant is in the period.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.starts_at.is_none_or(|start| start <= at) && self.ends_at.is_none_or(|end| at < end)
    }
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A day.
    Day,
    /// A week, by default from Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// When a period of the calendar begins, on the wall clock. Each unit uses the fields that are smaller than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The month of a year.
    pub month: i8,
    /// The day of a month, 1 to 28, or of the month of a year.
    pub day: i8,
    /// The day of a week.
    pub weekday: Weekday,
    /// The time of the day.
    pub time: Time,
}

impl Default for Reset {
    fn default() -> Self {
        Self { month: 1, day: 1, weekday: Weekday::Monday, time: Time::midnight() }
    }
}

/// How periods follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// One period, `all`, without a start or an end.
    None,
    /// Units of the calendar.
    Calendar {
        /// The unit.
        unit: Unit,
        /// When each begins.
        reset: Reset,
    },
    /// Periods of one length from an instant on.
    Every {
        /// The start of the first period.
        from: Timestamp,
        /// The same on the wall clock, which periods of days follow.
        wall_clock: DateTime,
        /// The length.
        every: Span,
    },
    /// One period.
    Once {
        /// Its start.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
}

/// The periods of a board.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// How they follow each other.
    pub recurrence: Recurrence,
    /// The time zone of wall-clock times.
    pub time_zone: TimeZone,
}

/// What `unit` counts from. A week is counted from its Monday.
const FIRST_DAY: Date = date(1970, 1, 1);
const FIRST_MONDAY: Date = date(1970, 1, 5);

impl Schedule {
    /// The schedule of a board without periods.
    pub fn none() -> Self {
        Self { recurrence: Recurrence::None, time_zone: TimeZone::UTC }
    }

    /// The period that contains an instant. `None` before the first and after the last one.
    pub fn containing(&self, at: Timestamp) -> Option<Period> {
        match self.recurrence {
            Recurrence::None => Some(Period { id: "all".to_owned(), starts_at: None, ends_at: None }),
            Recurrence::Once { from, until } => {
                (from..until).contains(&at).then(|| Period::new("p1".to_owned(), from, until))
            }
            Recurrence::Every { from, .. } if at < from => None,
            Recurrence::Every { .. } | Recurrence::Calendar { .. } => {
                let mut index = self.nearby_index(at)?;
                while self.start_of(index)? > at {
                    index -= 1;
                }
                // A period is empty if its whole day was skipped, as 2011-12-30 in Pacific/Apia.
                while self.start_of(index + 1)? <= at {
                    index += 1;
                }
                Some(Period::new(self.id_of(index)?, self.start_of(index)?, self.start_of(index + 1)?))
            }
        }
    }

    /// The period that contains an instant, or else the first one after it. `None` after the last one.
    pub fn at_or_after(&self, at: Timestamp) -> Option<Period> {
        self.containing(match self.recurrence {
            Recurrence::Every { from, .. } | Recurrence::Once { from, .. } => at.max(from),
            Recurrence::None | Recurrence::Calendar { .. } => at,
        })
    }

    /// The period after this one.
    pub fn next(&self, period: &Period) -> Option<Period> {
        self.containing(period.ends_at?)
    }

    /// The period before this one.
    pub fn previous(&self, period: &Period) -> Option<Period> {
        self.containing(period.starts_at?.checked_sub(SignedDuration::from_nanos(1)).ok()?)
    }

    /// The index of the period that contains an instant, give or take one or two.
    fn nearby_index(&self, at: Timestamp) -> Option<i64> {
        let date = self.time_zone.to_datetime(at).date();
        Some(match self.recurrence {
            Recurrence::Calendar { unit: Unit::Day, .. } => days_since(FIRST_DAY, date),
            Recurrence::Calendar { unit: Unit::Week, .. } => days_since(FIRST_MONDAY, date).div_euclid(7),
            Recurrence::Calendar { unit: Unit::Month, .. } => {
                i64::from(date.year()) * 12 + i64::from(date.month()) - 1
            }
            Recurrence::Calendar { unit: Unit::Year, .. } => i64::from(date.year()),
            Recurrence::Every { from, every: Span::Seconds(seconds), .. } => {
                at.duration_since(from).as_secs().checked_div(seconds)?
            }
            Recurrence::Every { wall_clock, every: Span::Days(days), .. } => {
                days_since(wall_clock.date(), date).checked_div(days)?
            }
            Recurrence::None | Recurrence::Once { .. } => return None,
        })
    }

    /// The start of a period by its index.
    fn start_of(&self, index: i64) -> Option<Timestamp> {
        match self.recurrence {
            Recurrence::Calendar { unit, reset } => {
                let day = day_of(unit, &reset, index)?;
                first_instant(&self.time_zone, day.to_datetime(reset.time))
            }
            Recurrence::Every { from, .. } if index == 0 => Some(from),
            Recurrence::Every { from, every: Span::Seconds(seconds), .. } => {
                from.checked_add(SignedDuration::from_secs(seconds.checked_mul(index)?)).ok()
            }
            Recurrence::Every { wall_clock, every: Span::Days(days), .. } => {
                let day = plus_days(wall_clock.date(), days.checked_mul(index)?)?;
                first_instant(&self.time_zone, day.to_datetime(wall_clock.time()))
            }
            Recurrence::None | Recurrence::Once { .. } => None,
        }
    }

    /// The id of a period by its index: the calendar's name of the day on which it begins, or its number.
    fn id_of(&self, index: i64) -> Option<String> {
        let Recurrence::Calendar { unit, reset } = self.recurrence else {
            return Some(format!("p{}", index + 1));
        };
        let day = day_of(unit, &reset, index)?;
        Some(match unit {
            Unit::Day => day.to_string(),
            Unit::Week => {
                let week = day.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Unit::Month => format!("{:04}-{:02}", day.year(), day.month()),
            Unit::Year => format!("{:04}", day.year()),
        })
    }
}

/// The day on which a period of the calendar begins.
fn day_of(unit: Unit, reset: &Reset, index: i64) -> Option<Date> {
    match unit {
        Unit::Day => plus_days(FIRST_DAY, index),
        Unit::Week => {
            let monday = plus_days(FIRST_MONDAY, index.checked_mul(7)?)?;
            plus_days(monday, reset.weekday.to_monday_zero_offset().into())
        }
        Unit::Month => {
            let year = i16::try_from(index.div_euclid(12)).ok()?;
            let month = i8::try_from(index.rem_euclid(12)).ok()? + 1;
            Date::new(year, month, reset.day).ok()
        }
        Unit::Year => Date::new(i16::try_from(index).ok()?, reset.month, reset.day).ok(),
    }
}

fn plus_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

fn days_since(first: Date, date: Date) -> i64 {
    date.duration_since(first).as_hours() / 24
}

/// The instant of a wall-clock time. If it exists twice, the first; if it does not exist, the next instant that does. `None` outside the
/// years that `jiff` supports.
pub fn first_instant(time_zone: &TimeZone, wall_clock: DateTime) -> Option<Timestamp> {
    let ambiguous = time_zone.to_ambiguous_timestamp(wall_clock);
    let AmbiguousOffset::Gap { after, .. } = ambiguous.offset() else {
        return ambiguous.compatible().ok();
    };
    // By the offset after the gap, the time is before the transition that makes the gap.
    let before_gap = after.to_timestamp(wall_clock).ok()?;
    time_zone.following(before_gap).next().map(|transition| transition.timestamp())
}

#[cfg(test)]
mod tests;
