//! What a node knows of one visitor's window: requests it may still serve, or that there are none. Pure: time is passed in.

use std::time::{Duration, Instant};

use crate::error::RateWindow;
use crate::store::Lease;

/// The window of every limit here.
const WINDOW: Duration = Duration::from_secs(60);
/// While Redis is away, a node counts by itself for so long before it asks again.
pub const RETRY: Duration = Duration::from_secs(1);

/// One visitor's window.
#[derive(Debug)]
pub struct Window {
    /// Requests that may be served without asking.
    left: u32,
    /// Nothing is left for any node, or, while this one counts by itself, for this one.
    full: bool,
    /// Redis is away, and this node counts by itself.
    alone: bool,
    /// From then on Redis has to be asked.
    ask_at: Instant,
    closes: Instant,
}

impl Window {
    /// One of which nothing is known yet.
    pub fn new(now: Instant) -> Self {
        Self { left: 0, full: false, alone: false, ask_at: now, closes: now }
    }

    /// Whether Redis has to be asked before a request can be judged.
    pub fn must_ask(&self, now: Instant) -> bool {
        now >= self.ask_at || (self.left == 0 && !self.full)
    }

    /// Whether nothing would be lost by forgetting it.
    pub fn is_closed(&self, now: Instant) -> bool {
        now >= self.closes
    }

    /// Takes what Redis answered to a question of `asked`. A lease counts from then, so that it never outlives its window.
    pub fn take(&mut self, lease: &Lease, asked: Instant) {
        let closes = asked + Duration::from_millis(lease.closes_ms.max(1));
        *self = Self { left: lease.granted, full: lease.granted == 0, alone: false, ask_at: closes, closes };
    }

    /// Goes on without Redis: the whole limit in a window of this node's own, until Redis answers again.
    pub fn go_alone(&mut self, limit: u32, now: Instant) {
        if !self.alone || self.is_closed(now) {
            *self = Self { left: limit, full: false, alone: true, ask_at: now, closes: now + WINDOW };
        }
        self.full = self.left == 0;
        self.ask_at = (now + RETRY).min(self.closes);
    }

    /// Counts a request of which Redis need not be asked.
    ///
    /// # Errors
    /// There is nothing left.
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

    fn lease(granted: u32) -> Lease {
        Lease { granted, closes_ms: 30_000 }
    }

    #[test]
    fn a_lease_is_served_and_a_refusal_kept_until_the_window_closes() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        assert!(window.must_ask(start));
        window.take(&lease(2), start);
        for _ in 0..2 {
            assert!(!window.must_ask(after(29)));
            window.count(8, after(29)).unwrap();
        }
        assert!(window.must_ask(after(29)), "the lease is used up");
        window.take(&lease(0), start);
        assert!(!window.must_ask(after(29)));
        assert_eq!(window.count(8, after(20)), Err(RateWindow { limit: 8, used: 8, reset_ms: 10_000 }));
        assert!(window.must_ask(after(30)) && window.is_closed(after(30)));
    }

    #[test]
    fn a_lease_ends_with_its_window_though_some_of_it_is_left() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.take(&lease(5), start);
        assert!(window.must_ask(start + Duration::from_secs(30)));
    }

    #[test]
    fn without_redis_a_node_serves_the_limit_a_minute_and_keeps_asking() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        window.go_alone(2, start);
        window.count(2, start).unwrap();
        assert!(window.must_ask(after(1)));
        window.go_alone(2, after(1));
        window.count(2, after(1)).unwrap();
        window.go_alone(2, after(1));
        assert_eq!(window.count(2, after(1)).unwrap_err().reset_ms, 59_000, "asking again gives nothing new");
        window.go_alone(2, after(60));
        window.count(2, after(60)).unwrap();
        window.take(&lease(0), after(61));
        assert!(window.count(2, after(61)).is_err(), "Redis is back, and knows better");
    }
}
