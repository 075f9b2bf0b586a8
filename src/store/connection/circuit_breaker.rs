//! A circuit breaker for one server. After a time-out it opens: one command at a time tests the server, and the others fail at once. So
//! no request waits for one time-out after another, and a Redis that was paused does not resume with thousands of stale commands.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Pause between two test commands.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Closed (`None`), or open until the next test command.
#[derive(Default)]
pub struct CircuitBreaker {
    open_until: Mutex<Option<Instant>>,
}

impl CircuitBreaker {
    /// Whether a command may be sent now. While the breaker is open, true for one command per pause.
    pub fn allows(&self, now: Instant) -> bool {
        let mut open_until = self.open_until.lock();
        match *open_until {
            Some(until) if now < until => false,
            Some(_) => {
                *open_until = Some(now + RETRY_AFTER);
                true
            }
            None => true,
        }
    }

    /// Whether no command was answered since the last time-out.
    pub fn is_open(&self) -> bool {
        self.open_until.lock().is_some()
    }

    /// Opens the breaker: a command timed out.
    pub fn open(&self, now: Instant) {
        *self.open_until.lock() = Some(now + RETRY_AFTER);
    }

    /// Closes the breaker: a command was answered. Returns whether it was open.
    pub fn close(&self) -> bool {
        self.open_until.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_breaker_allows_one_test_at_a_time() {
        let (breaker, start) = (CircuitBreaker::default(), Instant::now());
        assert!(breaker.allows(start) && breaker.allows(start));
        breaker.open(start);
        assert!(!breaker.allows(start));
        let later = start + RETRY_AFTER;
        assert!(breaker.allows(later) && !breaker.allows(later), "the first tests, the second does not");
        assert!(breaker.close() && !breaker.close());
        assert!(breaker.allows(later) && breaker.allows(later));
    }
}
