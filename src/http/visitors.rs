//! Requests a minute by address, counted by this node alone and without asking Redis: a flood costs a look into a map.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{RateWindow, Refusal};

const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at once. Beyond it, those whose window has closed are forgotten; if that frees nothing, new ones
/// share one count, so that memory is bounded whoever calls.
const MAX_ADDRESSES: usize = 100_000;
const THE_REST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// The addresses of the last minute.
pub struct Visitors {
    limit: u32,
    seen: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Visitors {
    /// With so many requests a minute (0: any).
    pub fn new(limit: u32) -> Self {
        Self { limit, seen: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Too many from this address.
    pub fn count(&self, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        if self.limit == 0 {
            return Ok(());
        }
        let mut seen = self.seen.lock();
        let mut from = from;
        if seen.len() >= MAX_ADDRESSES && !seen.contains_key(&from) {
            seen.retain(|_, (opened, _)| now.duration_since(*opened) < WINDOW);
            if seen.len() >= MAX_ADDRESSES {
                from = THE_REST;
            }
        }
        let (opened, used) = seen.entry(from).or_insert((now, 0));
        if now.duration_since(*opened) >= WINDOW {
            (*opened, *used) = (now, 0);
        }
        *used = used.saturating_add(1);
        if *used <= self.limit {
            return Ok(());
        }
        let left = WINDOW.saturating_sub(now.duration_since(*opened));
        Err(Refusal::RateLimited(RateWindow {
            limit: self.limit,
            used: *used,
            reset_ms: left.as_millis() as u64,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_a_minute_after_it_opened() {
        let visitors = Visitors::new(2);
        let (start, here) = (Instant::now(), IpAddr::from([127, 0, 0, 1]));
        let count = |after_s| visitors.count(here, start + Duration::from_secs(after_s)).is_ok();
        assert_eq!([count(0), count(1), count(2), count(59), count(60)], [true, true, false, false, true]);
        assert!(visitors.count(IpAddr::from([127, 0, 0, 2]), start).is_ok());
    }
}
