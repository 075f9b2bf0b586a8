//! Months in UTC, the partitions of the ledger.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;

/// A month, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The next month. Saturates at the last representable one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1.month()))
    }

    /// As in table names: `2026_12`.
    pub fn table_suffix(self) -> String {
        self.0.strftime("%Y_%m").to_string()
    }

    /// Parses `2026_12`.
    pub fn from_table_suffix(suffix: &str) -> Option<Self> {
        suffix.replacen('_', "-", 1).parse().ok()
    }

    /// Its start as a Postgres timestamp.
    pub fn start(self) -> String {
        format!("{} 00:00:00+00", self.0)
    }

    /// Its start in ms since the Unix epoch.
    pub fn start_ms(self) -> i64 {
        let start = self.0.to_zoned(jiff::tz::TimeZone::UTC);
        start.map_or(0, |start| start.timestamp().as_millisecond())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is not a month: use the form 2026-12");
        let (year, month) = text.split_once('-').ok_or_else(error)?;
        let is_number =
            |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(year, 4) || !is_number(month, 2) {
            return Err(error());
        }
        let (year, month) = (year.parse().map_err(|_| error())?, month.parse().map_err(|_| error())?);
        Date::new(year, month, 1).map(Self).map_err(|_| error())
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
    fn months_are_parsed_and_formatted() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.next().to_string()), ("2026-12".into(), "2027-01".into()));
        assert_eq!(Month::from_table_suffix(&month.table_suffix()), Some(month));
        assert_eq!(month.start(), "2026-12-01 00:00:00+00");
        assert_eq!(month.start_ms(), 1_796_083_200_000);
        for wrong in ["2026-13", "2026-1", "26-01", "2026", "2026-12-01", "+026-12", ""] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
