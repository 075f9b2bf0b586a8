//! The window of one rate limit key: the lease that this node holds, or that the window is full. The caller passes the time.

use std::time::{Duration, Instant};

use crate::error::RateWindow;
use crate::store::QuotaLease;

/// The length of every window here.
const WINDOW: Duration = Duration::from_secs(60);
/// While Redis is unavailable, a node counts alone for this long before it retries.
pub const RETRY: Duration = Duration::from_secs(1);

/// One key's window.
#[derive(Debug)]
pub struct Window {
    /// Requests left in the lease.
    left: u32,
    /// Nothing is left on any node, or, with a local limit, on this one.
    full: bool,
    /// Redis is unavailable, and this node counts alone.
    is_local: bool,
    /// From this time on a new lease is needed.
    renew_at: Instant,
    closes: Instant,
}

impl Window {
    /// A window without a lease.
    pub fn new(now: Instant) -> Self {
        Self { left: 0, full: false, is_local: false, renew_at: now, closes: now }
    }

    /// Whether a lease is needed before the next request can be counted.
    pub fn needs_lease(&self, now: Instant) -> bool {
        now >= self.renew_at || (self.left == 0 && !self.full)
    }

    /// Whether the window can be forgotten.
    pub fn is_closed(&self, now: Instant) -> bool {
        now >= self.closes
    }

    /// Stores a lease that was requested at `requested`. It is valid from then on, so that it never outlives its window.
    pub fn set_lease(&mut self, lease: &QuotaLease, requested: Instant) {
        let closes = requested + Duration::from_millis(lease.closes_ms.max(1));
        *self =
            Self { left: lease.granted, full: lease.granted == 0, is_local: false, renew_at: closes, closes };
    }

    /// Local fallback: allows the whole limit in a window of this node, until Redis answers again.
    pub fn use_local_limit(&mut self, limit: u32, now: Instant) {
        if !self.is_local || self.is_closed(now) {
            *self = Self { left: limit, full: false, is_local: true, renew_at: now, closes: now + WINDOW };
        }
        self.full = self.left == 0;
        self.renew_at = (now + RETRY).min(self.closes);
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn count(&mut self, limit: u32, now: Instant) -> Result<(), RateWindow> {
        if self.left == 0 {
            let reset_ms = self.closes.saturating_duration_since(now).as_millis() as u64;
            return Err(RateWindow { limit, used: limit, reset_ms });
        }
        self.left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(granted: u32) -> QuotaLease {
        QuotaLease { granted, closes_ms: 30_000 }
    }

    #[test]
    fn serves_a_lease_and_stays_full_until_the_window_closes() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        assert!(window.needs_lease(start));
        window.set_lease(&lease(2), start);
        for _ in 0..2 {
            assert!(!window.needs_lease(after(29)));
            window.count(8, after(29)).unwrap();
        }
        assert!(window.needs_lease(after(29)), "the lease is used up");
        window.set_lease(&lease(0), start);
        assert!(!window.needs_lease(after(29)));
        assert_eq!(window.count(8, after(20)), Err(RateWindow { limit: 8, used: 8, reset_ms: 10_000 }));
        assert!(window.needs_lease(after(30)) && window.is_closed(after(30)));
    }

    #[test]
    fn a_lease_expires_with_its_window() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.set_lease(&lease(5), start);
        assert!(window.needs_lease(start + Duration::from_secs(30)));
    }

    #[test]
    fn the_local_limit_is_per_minute_and_redis_is_retried() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        window.use_local_limit(2, start);
        window.count(2, start).unwrap();
        assert!(window.needs_lease(after(1)));
        window.use_local_limit(2, after(1));
        window.count(2, after(1)).unwrap();
        window.use_local_limit(2, after(1));
        assert_eq!(window.count(2, after(1)).unwrap_err().reset_ms, 59_000, "a retry adds nothing");
        window.use_local_limit(2, after(60));
        window.count(2, after(60)).unwrap();
        window.set_lease(&lease(0), after(61));
        assert!(window.count(2, after(61)).is_err(), "the reply of Redis counts");
    }
}
