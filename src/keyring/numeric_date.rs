//! NumericDate (RFC 7519, section 2): seconds since 1970, possibly with a fraction.

use serde::{Deserialize, Deserializer, de};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can express. Later times are refused.
pub const LAST_SECOND: i64 = 253_402_300_799;

/// A time in a JWT, from 1970 to 9999. It is rounded so that a token is never valid longer than it claims.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NumericDate(f64);

impl NumericDate {
    /// In whole seconds, for `exp` and `iat`.
    pub fn rounded_down(self) -> i64 {
        self.0.floor() as i64
    }

    /// In whole seconds, for `nbf`.
    pub fn rounded_up(self) -> i64 {
        self.0.ceil() as i64
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        // A double is exact for every whole second in this range.
        let is_valid = (0.0..=LAST_SECOND as f64).contains(&seconds);
        is_valid.then_some(Self(seconds)).ok_or_else(|| de::Error::custom("not a time from 1970 to 9999"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<(i64, i64)> {
        let date: NumericDate = serde_json::from_str(text).ok()?;
        Some((date.rounded_down(), date.rounded_up()))
    }

    #[test]
    fn accepts_fractions_and_refuses_other_values() {
        let times = [
            ("0", (0, 0)),
            ("7", (7, 7)),
            ("7.0", (7, 7)),
            ("7.000001", (7, 8)),
            ("7.9", (7, 8)),
            ("17e2", (1700, 1700)),
            ("1795250000.0625", (1_795_250_000, 1_795_250_001)),
            ("253402300799", (LAST_SECOND, LAST_SECOND)),
        ];
        for (text, seconds) in times {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for invalid in [
            "-1",
            "-0.5",
            "253402300799.5",
            "253402300800",
            "18446744073709551615",
            "1e300",
            "\"7\"",
            "null",
            "[7]",
        ] {
            assert_eq!(read(invalid), None, "{invalid}");
        }
    }

    proptest! {
        #[test]
        fn rounding_never_extends_a_token(seconds in 0..LAST_SECOND, fraction in 1..1_000_000_u32) {
            prop_assert_eq!(read(&seconds.to_string()), Some((seconds, seconds)));
            let (down, up) = read(&format!("{seconds}.{fraction:06}")).unwrap();
            prop_assert!(seconds <= down && down <= up && up <= seconds + 1);
        }
    }
}
