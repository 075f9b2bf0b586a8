//! A cache of full windows: until such a window closes, its attempts are refused without a call to Redis.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::error::RateWindow;
use crate::store::AttemptWindow;

/// Bounds memory. Beyond it, rarely used windows are removed; the next attempt in such a window costs a script call.
const MAX_WINDOWS: usize = 100_000;

/// The full windows, each with the time when it closes.
pub struct FullWindows(Cache<AttemptWindow, (Instant, RateWindow)>);

impl Default for FullWindows {
    fn default() -> Self {
        Self(Cache::new(MAX_WINDOWS))
    }
}

impl FullWindows {
    /// Checks that a window is not known to be full.
    ///
    /// # Errors
    /// It is full: its state, with the time that is left.
    pub fn check(&self, window: &AttemptWindow, now: Instant) -> Result<(), RateWindow> {
        let Some((closes, state)) = self.0.get(window) else { return Ok(()) };
        let left_ms = closes.saturating_duration_since(now).as_millis() as u64;
        if left_ms == 0 {
            self.0.remove(window);
            return Ok(());
        }
        Err(RateWindow { reset_ms: left_ms, ..state })
    }

    /// Caches a full window until it closes.
    pub fn insert(&self, window: AttemptWindow, state: RateWindow, now: Instant) {
        self.0.insert(window, (now + Duration::from_millis(state.reset_ms), state));
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
        assert_eq!(windows.0.len(), 0);
    }
}
