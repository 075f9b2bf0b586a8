//! A circuit breaker (M. Nygard, "Release It!"). After a failure it opens: calls fail at once, except one trial per pause. So no request
//! waits for one time-out after another, and a server that comes back does not meet thousands of stale calls. The caller passes the time
//! in, decides what a failure is, and reports how the trial ended.

use std::time::{Duration, Instant};

/// Closed, or open until the next trial.
#[derive(Debug)]
pub struct CircuitBreaker {
    pause: Duration,
    open_until: Option<Instant>,
}

impl CircuitBreaker {
    /// A closed breaker. `pause`: between two trials.
    pub fn new(pause: Duration) -> Self {
        Self { pause, open_until: None }
    }

    /// Whether a call may be made now. While the breaker is open, true for one call per pause: the trial.
    pub fn allows(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.open(now);
                true
            }
            None => true,
        }
    }

    /// When the next trial may begin, or `None` if the breaker is closed.
    pub fn open_until(&self) -> Option<Instant> {
        self.open_until
    }

    /// Opens the breaker, or keeps it open: a call failed.
    pub fn open(&mut self, now: Instant) {
        self.open_until = Some(now + self.pause);
    }

    /// Lets the next call be the trial: the last one ended without a result.
    pub fn repeat_trial(&mut self, now: Instant) {
        self.open_until = Some(now);
    }

    /// Closes the breaker: a call succeeded. Returns whether it was open.
    pub fn close(&mut self) -> bool {
        self.open_until.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_breaker_allows_one_trial_per_pause() {
        let pause = Duration::from_millis(250);
        let (mut breaker, start) = (CircuitBreaker::new(pause), Instant::now());
        assert!(breaker.allows(start) && breaker.allows(start));
        breaker.open(start);
        assert!(!breaker.allows(start));
        let later = start + pause;
        assert!(
            breaker.allows(later) && !breaker.allows(later),
            "the first is the trial, the second is refused"
        );
        breaker.repeat_trial(later);
        assert!(breaker.allows(later) && !breaker.allows(later));
        assert!(breaker.close() && !breaker.close());
        assert!(breaker.allows(later) && breaker.allows(later));
    }
}
