//! The limits of an action per user.

/// Limits of one action per user, by Redis' clock in UTC. 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The shortest time between two awards.
    pub cooldown_ms: u64,
    /// The most awards in a UTC hour.
    pub cap_per_hour: u64,
    /// The most awards in a UTC day.
    pub cap_per_day: u64,
    /// When the action opens, in ms since midnight.
    pub opens_at_ms: u64,
    /// How long it stays open, in ms; 0: always open.
    pub open_for_ms: u64,
    /// The shortest time between two awards that an `elapsed` proof implies, because its waiting times must not overlap. Checked when a
    /// token is redeemed, not when it is issued.
    pub span_ms: u64,
}

impl Limits {
    /// When the action closes, in ms since midnight.
    pub fn closes_at_ms(&self) -> u64 {
        (self.opens_at_ms + self.open_for_ms) % DAY_MS
    }
}

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Parses open hours such as `08:00-22:30`, or `22:00-02:00` over midnight. Returns when they begin, in ms since midnight, and their
/// length in ms.
///
/// # Errors
/// The problem, as text.
pub fn read_open_hours(text: &str) -> Result<(u64, u64), String> {
    let bad = || format!("open_hours must be like 08:00-22:30, in UTC, not {text:?}");
    let (from, to) = text.split_once('-').ok_or_else(bad)?;
    let (from, to) = (minute_of_day(from).ok_or_else(bad)?, minute_of_day(to).ok_or_else(bad)?);
    if from == to {
        return Err(
            "open_hours must not begin and end at the same time. Leave them out if the action is always open"
                .into(),
        );
    }
    Ok((from * MINUTE_MS, (to * MINUTE_MS + DAY_MS - from * MINUTE_MS) % DAY_MS))
}

fn minute_of_day(text: &str) -> Option<u64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some((hour * 60 + minute) % (24 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_hours_may_cross_midnight() {
        let hours = |text| read_open_hours(text).map(|(from, long)| (from / MINUTE_MS, long / MINUTE_MS));
        assert_eq!(hours("08:00-22:30"), Ok((480, 870)));
        assert_eq!(hours("22:00-02:00"), Ok((1320, 240)));
        assert!(hours("00:00-24:00").is_err(), "always open");
        assert_eq!(hours("12:00-24:00"), Ok((720, 720)));
        for bad in ["", "8", "08:00", "08:00-", "25:00-26:00", "08:60-09:00", "-8:00-9:00", "08:00-08:00"] {
            assert!(read_open_hours(bad).is_err(), "{bad}");
        }
    }
}
