//! A circuit breaker: a backend that fails again and again is left alone for a while, and callers do not wait for it. Time
//! is passed in.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

#[derive(Debug)]
enum State {
    /// Everybody may ask; so many failures in a row so far.
    Closed { failures: u32 },
    /// Nobody may ask before then.
    Open { until: Instant },
    /// One is asking, and the others hear of it.
    Trial,
}

/// The breaker of one backend.
pub struct Breaker {
    opens_after: u32,
    open_for: Duration,
    state: Mutex<State>,
}

/// One call that was let through. Dropped without a result, as when the client went away, it says nothing of the backend.
pub struct Call<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Breaker {
    /// One that opens after so many failures in a row (at least 1).
    pub fn new(opens_after: u32, open_for: Duration) -> Self {
        Self { opens_after, open_for, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether asking is out of the question, so that nobody waits for a place in vain.
    pub fn is_open(&self, now: Instant) -> bool {
        match *self.state.lock() {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
            State::Trial => true,
        }
    }

    /// Lets a call through, unless the breaker is open; the first one after that is the trial.
    pub fn admit(&self, now: Instant) -> Option<Call<'_>> {
        let mut state = self.state.lock();
        let trial = match *state {
            State::Closed { .. } => false,
            State::Open { until } if now >= until => true,
            State::Open { .. } | State::Trial => return None,
        };
        if trial {
            *state = State::Trial;
        }
        Some(Call { breaker: self, trial })
    }
}

impl Call<'_> {
    /// There was a clear answer. One that was asked before the breaker opened does not close it: the trial does.
    pub fn succeeded(mut self) {
        let mut state = self.breaker.state.lock();
        if self.trial || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
        self.trial = false;
    }

    /// There was none.
    pub fn failed(mut self, now: Instant) {
        let mut state = self.breaker.state.lock();
        let opens = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                *failures >= self.breaker.opens_after
            }
            State::Open { .. } | State::Trial => self.trial,
        };
        if opens {
            *state = State::Open { until: now + self.breaker.open_for };
        }
        self.trial = false;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.trial {
            // Whoever comes next tries instead.
            *self.breaker.state.lock() = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_trial_closes_it() {
        let (breaker, start) = (Breaker::new(2, Duration::from_secs(10)), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        breaker.admit(start).unwrap().failed(start);
        breaker.admit(start).unwrap().succeeded();
        breaker.admit(start).unwrap().failed(start);
        let late = breaker.admit(start).unwrap();
        breaker.admit(start).unwrap().failed(start);
        assert!(breaker.is_open(after(9)) && breaker.admit(after(9)).is_none());
        late.succeeded();
        assert!(breaker.is_open(after(9)), "what was asked before says nothing now");

        assert!(!breaker.is_open(after(10)));
        let trial = breaker.admit(after(10)).unwrap();
        assert!(breaker.is_open(after(11)) && breaker.admit(after(11)).is_none(), "one at a time");
        trial.failed(after(11));
        assert!(breaker.is_open(after(20)) && !breaker.is_open(after(21)));
        breaker.admit(after(21)).unwrap().succeeded();
        assert!(!breaker.is_open(after(21)));
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_the_next_one_to_others() {
        let (breaker, start) = (Breaker::new(1, Duration::ZERO), Instant::now());
        breaker.admit(start).unwrap().failed(start);
        drop(breaker.admit(start).unwrap());
        assert!(breaker.admit(Instant::now()).is_some());
    }
}
