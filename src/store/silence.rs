//! Whether Redis has fallen silent. Then one command at a time tries whether it is back, and the others fail at once: nobody
//! waits for the time-out of each command of a request in turn, and a Redis that was only stopped does not wake up to
//! thousands of commands whose callers were refused long ago.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(250);

/// When it may be tried again, while it is silent.
#[derive(Default)]
pub struct Silence {
    until: Mutex<Option<Instant>>,
}

impl Silence {
    /// Whether a command may go out now.
    pub fn may_ask(&self, now: Instant) -> bool {
        let mut until = self.until.lock();
        match *until {
            Some(silent_until) if now < silent_until => false,
            Some(_) => {
                *until = Some(now + AGAIN);
                true
            }
            None => true,
        }
    }

    /// Whether nothing was answered since a command was not answered in time.
    pub fn lasts(&self) -> bool {
        self.until.lock().is_some()
    }

    /// A command was not answered in time.
    pub fn fell(&self, now: Instant) {
        *self.until.lock() = Some(now + AGAIN);
    }

    /// Something was answered. Returns whether that ends a silence.
    pub fn ended(&self) -> bool {
        self.until.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_silence_one_at_a_time_tries() {
        let (silence, start) = (Silence::default(), Instant::now());
        assert!(silence.may_ask(start) && silence.may_ask(start));
        silence.fell(start);
        assert!(!silence.may_ask(start));
        let later = start + AGAIN;
        assert!(silence.may_ask(later) && !silence.may_ask(later), "the first tries, the second does not");
        assert!(silence.ended() && !silence.ended());
        assert!(silence.may_ask(later) && silence.may_ask(later));
    }
}
