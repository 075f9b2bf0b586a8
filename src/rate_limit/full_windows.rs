//! A cache of full windows: until such a window closes, its attempts are refused without a call to Redis.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::RateWindow;
use crate::store::AttemptWindow;

/// Bounds memory. At this number, closed windows are removed; if none is closed, a new one is not cached and costs a script call each time.
const MAX_WINDOWS: usize = 100_000;

/// Pause between two sweeps for closed windows, since each visits all of them.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// The full windows.
#[derive(Default)]
pub struct FullWindows {
    full: Mutex<HashMap<AttemptWindow, (Instant, RateWindow)>>,
    swept_at: Mutex<Option<Instant>>,
}

impl FullWindows {
    /// Checks that a window is not known to be full.
    ///
    /// # Errors
    /// It is full: its state, with the time that is left.
    pub fn check(&self, window: &AttemptWindow, now: Instant) -> Result<(), RateWindow> {
        let mut full = self.full.lock();
        let Some(&(closes, state)) = full.get(window) else { return Ok(()) };
        let left_ms = closes.saturating_duration_since(now).as_millis() as u64;
        if left_ms == 0 {
            full.remove(window);
            return Ok(());
        }
        Err(RateWindow { reset_ms: left_ms, ..state })
    }

    /// Caches a full window until it closes.
    pub fn insert(&self, window: AttemptWindow, state: RateWindow, now: Instant) {
        let mut full = self.full.lock();
        let mut swept_at = self.swept_at.lock();
        if full.len() >= MAX_WINDOWS && swept_at.is_none_or(|it| now >= it + BETWEEN_SWEEPS) {
            full.retain(|_, (closes, _)| *closes > now);
            *swept_at = Some(now);
        }
        if full.len() < MAX_WINDOWS {
            full.insert(window, (now + Duration::from_millis(state.reset_ms), state));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_window_is_full_until_it_closes() {
        let (windows, start) = (FullWindows::default(), Instant::now());
        let user = |id| AttemptWindow::Awards(Uuid::from_u128(id));
        let check = |after_ms| windows.check(&user(1), start + Duration::from_millis(after_ms));
        assert_eq!(check(0), Ok(()));
        let window = RateWindow { limit: 10, used: 11, reset_ms: 5000 };
        windows.insert(user(1), window, start);
        assert_eq!(check(2000), Err(RateWindow { reset_ms: 3000, ..window }));
        assert_eq!(windows.check(&user(2), start), Ok(()));
        assert_eq!(check(5000), Ok(()));
        assert!(windows.full.lock().is_empty());
    }
}
