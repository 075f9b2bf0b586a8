//! The only reader of the wall clock. Tokens, sessions and limits do not use it: scripts use the clock of Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use uuid::Uuid;

/// A node's wall clock. Clones share its shift, which tests set.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    #[allow(clippy::disallowed_methods, reason = "the only place")]
    pub fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as i64 + self.shift_ms.load(Ordering::Relaxed)
    }

    /// The time in whole milliseconds.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Seconds since the Unix epoch: a JWT's NumericDate (RFC 7519).
    pub fn now_s(&self) -> i64 {
        self.now_ms() / 1000
    }

    /// Moves this clock and its clones forward (or back), for tests.
    pub fn shift(&self, by_ms: i64) {
        self.shift_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// A UUID v7 (RFC 9562), which sorts by time.
    #[allow(clippy::disallowed_methods, reason = "the only place")]
    pub fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// RFC 3339 in UTC with milliseconds, the format of every time in the API.
pub fn rfc3339(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// A time of day such as `22:30`, from milliseconds since midnight.
pub fn time_of_day(ms: u64) -> String {
    let minutes = ms / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_of_milliseconds() {
        assert_eq!(rfc3339(1_704_449_105_000), "2024-01-05T10:05:05.000Z");
        assert_eq!(rfc3339(1_704_449_105_007), "2024-01-05T10:05:05.007Z");
    }
}
