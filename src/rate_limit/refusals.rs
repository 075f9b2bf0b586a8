//! Windows that a script said are full: until they close, nobody has to ask it again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::RateWindow;
use crate::store::AttemptWindow;

/// Refusals remembered at once. Beyond it, those whose window has closed are forgotten; if that frees nothing, a new one is
/// not remembered, and costs a script each time.
const MAX_REFUSALS: usize = 100_000;

/// A look for closed windows that found too few is not repeated sooner: it goes through all of them.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// The full windows.
#[derive(Default)]
pub struct Refusals {
    full: Mutex<HashMap<AttemptWindow, (Instant, RateWindow)>>,
    swept_at: Mutex<Option<Instant>>,
}

impl Refusals {
    /// Looks whether a window is full, and tells where it stands by now.
    ///
    /// # Errors
    /// It is.
    pub fn check(&self, window: &AttemptWindow, now: Instant) -> Result<(), RateWindow> {
        let mut full = self.full.lock();
        let Some(&(closes, told)) = full.get(window) else { return Ok(()) };
        let left_ms = closes.saturating_duration_since(now).as_millis() as u64;
        if left_ms == 0 {
            full.remove(window);
            return Ok(());
        }
        Err(RateWindow { reset_ms: left_ms, ..told })
    }

    /// Remembers a full window until it closes.
    pub fn remember(&self, window: AttemptWindow, told: RateWindow, now: Instant) {
        let mut full = self.full.lock();
        let mut swept_at = self.swept_at.lock();
        if full.len() >= MAX_REFUSALS && swept_at.is_none_or(|it| now >= it + BETWEEN_SWEEPS) {
            full.retain(|_, (closes, _)| *closes > now);
            *swept_at = Some(now);
        }
        if full.len() < MAX_REFUSALS {
            full.insert(window, (now + Duration::from_millis(told.reset_ms), told));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_refusal_lasts_until_its_window_closes() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let user = |it| AttemptWindow::Awards(Uuid::from_u128(it));
        let check = |after_ms| refusals.check(&user(1), start + Duration::from_millis(after_ms));
        assert_eq!(check(0), Ok(()));
        let window = RateWindow { limit: 10, used: 11, reset_ms: 5000 };
        refusals.remember(user(1), window, start);
        assert_eq!(check(2000), Err(RateWindow { reset_ms: 3000, ..window }));
        assert_eq!(refusals.check(&user(2), start), Ok(()));
        assert_eq!(check(5000), Ok(()));
        assert!(refusals.full.lock().is_empty());
    }
}
