//! Months in UTC, by which the ledger is kept.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;

/// A month, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month after it; the last one there is stays.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1.month()))
    }

    /// As it stands in the name of a table: `2026_12`.
    pub fn in_name(self) -> String {
        self.0.strftime("%Y_%m").to_string()
    }

    /// Reads it from the name of a table.
    pub fn of_name(name: &str) -> Option<Self> {
        name.replacen('_', "-", 1).parse().ok()
    }

    /// When it begins, as Postgres reads it.
    pub fn begins(self) -> String {
        format!("{} 00:00:00+00", self.0)
    }

    /// When it begins, in ms since the Unix epoch.
    pub fn begins_ms(self) -> i64 {
        let begins = self.0.to_zoned(jiff::tz::TimeZone::UTC);
        begins.map_or(0, |it| it.timestamp().as_millisecond())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no month: write it as 2026-12");
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |it: &str, count| it.len() == count && it.bytes().all(|it| it.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        Date::new(year, month, 1).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_shown_and_followed() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.next().to_string()), ("2026-12".into(), "2027-01".into()));
        assert_eq!(Month::of_name(&month.in_name()), Some(month));
        assert_eq!(month.begins(), "2026-12-01 00:00:00+00");
        assert_eq!(month.begins_ms(), 1_796_083_200_000);
        for wrong in ["2026-13", "2026-1", "26-01", "2026", "2026-12-01", "+026-12", ""] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
