//! The windows of all keys of one kind with the same limit, each with a lease from Redis.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::window::{RETRY, Window};
use crate::error::RateWindow;
use crate::network::Network;
use crate::store::{RateLimitKey, Store};

/// Bounds memory. At this number, closed windows are removed; if none is closed, all new keys share one window.
const MAX_KEYS: usize = 100_000;
/// Pause between two sweeps for closed windows, since each visits all of them.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);
/// A lease is the limit divided by this: about 16 script calls per window and key.
const LEASES_A_WINDOW: u32 = 16;

/// Locked during a call to Redis, so that concurrent requests of one key wait for the same reply.
type SharedWindow = Arc<tokio::sync::Mutex<Window>>;

/// Leases for requests of the last minute.
pub struct QuotaLeases {
    limit: u32,
    windows: Mutex<Windows>,
    /// Redis is not called before this time after a failure, so that only one request a second waits for it in vain.
    retry_at: Mutex<Option<Instant>>,
}

struct Windows {
    by_key: HashMap<RateLimitKey, SharedWindow>,
    sweep_at: Instant,
}

impl QuotaLeases {
    /// With a limit in requests per minute (0: none).
    pub fn new(limit: u32) -> Self {
        let windows = Windows { by_key: HashMap::new(), sweep_at: Instant::now() };
        Self { limit, windows: Mutex::new(windows), retry_at: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The window of this key is full.
    pub async fn count(&self, store: &Store, key: RateLimitKey) -> Result<(), RateWindow> {
        if self.limit == 0 {
            return Ok(());
        }
        let (key, window) = self.windows.lock().get(key, Instant::now());
        let mut window = window.lock().await;
        let now = Instant::now();
        if window.needs_lease(now) {
            // Boxed: it is rare and large, and every request's future would have room for it.
            Box::pin(self.renew(store, key, &mut window, now)).await;
        }
        window.count(self.limit, now)
    }

    async fn renew(&self, store: &Store, key: RateLimitKey, window: &mut Window, now: Instant) {
        if self.retry_at.lock().is_some_and(|it| now < it) {
            return window.use_local_limit(self.limit, now);
        }
        let wanted = (self.limit / LEASES_A_WINDOW).max(1);
        match store.lease(key, self.limit, wanted).await {
            Ok(lease) => window.set_lease(&lease, now),
            Err(fault) => {
                tracing::warn!(%fault, "rate limit lease failed, counting requests on this node alone");
                *self.retry_at.lock() = Some(Instant::now() + RETRY);
                window.use_local_limit(self.limit, now);
            }
        }
    }
}

impl Windows {
    /// The window of a key, and the key under which it is stored.
    fn get(&mut self, key: RateLimitKey, now: Instant) -> (RateLimitKey, SharedWindow) {
        if let Some(window) = self.by_key.get(&key) {
            return (key, window.clone());
        }
        if self.by_key.len() >= MAX_KEYS && now >= self.sweep_at {
            self.by_key.retain(|_, window| window.try_lock().map_or(true, |it| !it.is_closed(now)));
            self.sweep_at = now + BETWEEN_SWEEPS;
        }
        let key = if self.by_key.len() < MAX_KEYS { key } else { overflow_key(key) };
        let window = self.by_key.entry(key).or_insert_with(|| Arc::new(Window::new(now).into()));
        (key, window.clone())
    }
}

/// The key that new clients share when the map is full. No client has this address or id.
fn overflow_key(key: RateLimitKey) -> RateLimitKey {
    match key {
        RateLimitKey::Network(Network::Household(_)) => {
            RateLimitKey::Network(Network::Household(Ipv4Addr::UNSPECIFIED.into()))
        }
        RateLimitKey::Network(Network::Site(_)) => {
            RateLimitKey::Network(Network::Site(Ipv6Addr::UNSPECIFIED))
        }
        RateLimitKey::User(_) => RateLimitKey::User(Uuid::nil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_bounded() {
        let (leases, start) = (QuotaLeases::new(1), Instant::now());
        let mut windows = leases.windows.lock();
        let key = |number: u32| RateLimitKey::Network(Network::household(number.to_be_bytes().into()));
        for number in 1..=MAX_KEYS as u32 {
            let (_, window) = windows.get(key(number), start);
            window.try_lock().unwrap().use_local_limit(1, start);
        }
        let one_more = |windows: &mut Windows, now| windows.get(key(u32::MAX), now).0;
        assert_eq!(one_more(&mut windows, start), key(0), "all windows are open");
        assert_eq!(windows.by_key.len(), MAX_KEYS + 1);
        let later = start + Duration::from_secs(60);
        assert_eq!(one_more(&mut windows, later), key(u32::MAX));
        assert!(windows.by_key.len() <= 2);
    }
}
