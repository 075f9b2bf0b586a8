//! Windows that a script said are full: until they close, nobody has to ask it again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::error::RateWindow;

/// Refusals remembered at once. Beyond it, those whose window has closed are forgotten; if that frees nothing, a new one is
/// not remembered, and costs a script each time.
const MAX_REFUSALS: usize = 100_000;

/// The full windows, by user.
#[derive(Default)]
pub struct Refusals {
    full: Mutex<HashMap<Uuid, (Instant, RateWindow)>>,
}

impl Refusals {
    /// Looks whether a user's window is full, and tells where it stands by now.
    ///
    /// # Errors
    /// It is.
    pub fn check(&self, user: Uuid, now: Instant) -> Result<(), RateWindow> {
        let mut full = self.full.lock();
        let Some(&(closes, window)) = full.get(&user) else { return Ok(()) };
        let left_ms = closes.saturating_duration_since(now).as_millis() as u64;
        if left_ms == 0 {
            full.remove(&user);
            return Ok(());
        }
        Err(RateWindow { reset_ms: left_ms, ..window })
    }

    /// Remembers a full window until it closes.
    pub fn remember(&self, user: Uuid, window: RateWindow, now: Instant) {
        let mut full = self.full.lock();
        if full.len() >= MAX_REFUSALS {
            full.retain(|_, (closes, _)| *closes > now);
        }
        if full.len() < MAX_REFUSALS {
            full.insert(user, (now + Duration::from_millis(window.reset_ms), window));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_lasts_until_its_window_closes() {
        let (refusals, user, start) = (Refusals::default(), Uuid::from_u128(1), Instant::now());
        let check = |after_ms| refusals.check(user, start + Duration::from_millis(after_ms));
        assert_eq!(check(0), Ok(()));
        let window = RateWindow { limit: 10, used: 11, reset_ms: 5000 };
        refusals.remember(user, window, start);
        assert_eq!(check(2000), Err(RateWindow { reset_ms: 3000, ..window }));
        assert_eq!(refusals.check(Uuid::from_u128(2), start), Ok(()));
        assert_eq!(check(5000), Ok(()));
        assert!(refusals.full.lock().is_empty());
    }
}
