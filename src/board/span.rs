//! Time spans as they are written in files: `10s`, `10m`, `12h`, `14d`.

use std::fmt;

/// A number of seconds or of days. Seconds are exact; a board's period of days follows the calendar of its time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Seconds.
    Seconds(i64),
    /// Calendar days.
    Days(i64),
}

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

impl Span {
    /// Parses a span of at most 3,660 days.
    ///
    /// # Errors
    /// What the text must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || "must be a whole number with a unit, such as \"10s\", \"10m\", \"12h\" or \"14d\"".to_owned();
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let count: i64 = digits.parse().map_err(|_| bad())?;
        let span = match unit {
            "s" => Some(Self::Seconds(count)),
            "m" => count.checked_mul(MINUTE_S).map(Self::Seconds),
            "h" => count.checked_mul(HOUR_S).map(Self::Seconds),
            "d" => Some(Self::Days(count)),
            _ => return Err(bad()),
        };
        span.filter(|span| span.seconds().is_some_and(|seconds| seconds <= 3660 * DAY_S))
            .ok_or_else(|| "must be at most \"3660d\"".to_owned())
    }

    /// Parses a span in a range.
    ///
    /// # Errors
    /// What the text must be.
    pub fn parse_within(text: &str, least: Self, most: Self) -> Result<Self, String> {
        let span = Self::parse(text)?;
        let is_inside = least.seconds() <= span.seconds() && span.seconds() <= most.seconds();
        is_inside.then_some(span).ok_or_else(|| format!("must be between \"{least}\" and \"{most}\""))
    }

    /// The length in microseconds, with 24 hours a day.
    pub fn micros(self) -> i64 {
        self.seconds().and_then(|seconds| seconds.checked_mul(1_000_000)).unwrap_or(i64::MAX)
    }

    /// The length in seconds, with 24 hours a day; `None` if it is too long for a number.
    fn seconds(self) -> Option<i64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Days(days) => days.checked_mul(DAY_S),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
            Self::Days(days) => write!(f, "{days}d"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        for (text, span) in [
            ("10s", Span::Seconds(10)),
            ("10m", Span::Seconds(600)),
            ("12h", Span::Seconds(43_200)),
            ("0s", Span::Seconds(0)),
            ("14d", Span::Days(14)),
            ("3660d", Span::Days(3660)),
        ] {
            assert_eq!(Span::parse(text), Ok(span), "{text}");
        }
        for text in [
            "",
            "d",
            "14",
            "1.5h",
            "-1d",
            "+1d",
            " 1d",
            "1 d",
            "1w",
            "1D",
            "1é",
            "é",
            "3661d",
            "9223372036854775807d",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert!(
            Span::parse("99999999999999999999s").is_err() && Span::parse("9223372036854775807h").is_err()
        );
    }
}
