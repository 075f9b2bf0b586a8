//! The windows of many visitors, of one kind and one limit.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::window::{RETRY, Window};
use crate::error::RateWindow;
use crate::network::Network;
use crate::store::{Store, Visitor};

/// Visitors remembered at once. Beyond it, those whose window has closed are forgotten; if that frees nothing, new ones
/// share one window, so that memory is bounded whoever calls.
const MAX_VISITORS: usize = 100_000;
/// A look for closed windows that found too few is not repeated sooner: it goes through all of them.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);
/// A lease is this part of the limit: so many questions a window and visitor, at most, and a few more near its end.
const LEASES_A_WINDOW: u32 = 16;

/// Held while Redis is asked, so that a visitor's requests that come meanwhile wait for the one answer.
type Shared = Arc<tokio::sync::Mutex<Window>>;

/// The visitors of the last minute.
pub struct Leases {
    limit: u32,
    seen: Mutex<Seen>,
    /// Redis did not answer just now: until then nobody asks, so that one request in a second waits in vain, not all.
    away_until: Mutex<Option<Instant>>,
}

struct Seen {
    windows: HashMap<Visitor, Shared>,
    sweep_at: Instant,
}

impl Leases {
    /// With so many requests a minute (0: any).
    pub fn new(limit: u32) -> Self {
        let seen = Seen { windows: HashMap::new(), sweep_at: Instant::now() };
        Self { limit, seen: Mutex::new(seen), away_until: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The visitor's window is full.
    pub async fn count(&self, store: &Store, visitor: Visitor) -> Result<(), RateWindow> {
        if self.limit == 0 {
            return Ok(());
        }
        let (visitor, window) = self.seen.lock().window(visitor, Instant::now());
        let mut window = window.lock().await;
        let now = Instant::now();
        if window.must_ask(now) {
            // In a box, since it is rare and large: every request's future would have room for it, and is moved.
            Box::pin(self.ask(store, visitor, &mut window, now)).await;
        }
        window.count(self.limit, now)
    }

    async fn ask(&self, store: &Store, visitor: Visitor, window: &mut Window, now: Instant) {
        if self.away_until.lock().is_some_and(|it| now < it) {
            return window.go_alone(self.limit, now);
        }
        let wanted = (self.limit / LEASES_A_WINDOW).max(1);
        match store.lease(visitor, self.limit, wanted).await {
            Ok(lease) => window.take(&lease, now),
            Err(fault) => {
                tracing::warn!(%fault, "this node counts requests by itself");
                *self.away_until.lock() = Some(Instant::now() + RETRY);
                window.go_alone(self.limit, now);
            }
        }
    }
}

impl Seen {
    /// A visitor's window, and the visitor it is kept under.
    fn window(&mut self, visitor: Visitor, now: Instant) -> (Visitor, Shared) {
        if let Some(window) = self.windows.get(&visitor) {
            return (visitor, window.clone());
        }
        if self.windows.len() >= MAX_VISITORS && now >= self.sweep_at {
            self.windows.retain(|_, window| window.try_lock().map_or(true, |it| !it.is_closed(now)));
            self.sweep_at = now + BETWEEN_SWEEPS;
        }
        let visitor = if self.windows.len() < MAX_VISITORS { visitor } else { the_rest(visitor) };
        let window = self.windows.entry(visitor).or_insert_with(|| Arc::new(Window::new(now).into()));
        (visitor, window.clone())
    }
}

/// Who new visitors are when too many are known: no address and no user is called so.
fn the_rest(visitor: Visitor) -> Visitor {
    match visitor {
        Visitor::Network(Network::Household(_)) => {
            Visitor::Network(Network::Household(Ipv4Addr::UNSPECIFIED.into()))
        }
        Visitor::Network(Network::Site(_)) => Visitor::Network(Network::Site(Ipv6Addr::UNSPECIFIED)),
        Visitor::User(_) => Visitor::User(Uuid::nil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_bounded_whoever_calls() {
        let (leases, start) = (Leases::new(1), Instant::now());
        let mut seen = leases.seen.lock();
        let visitor = |it: u32| Visitor::Network(Network::household(it.to_be_bytes().into()));
        for number in 1..=MAX_VISITORS as u32 {
            let (_, window) = seen.window(visitor(number), start);
            window.try_lock().unwrap().go_alone(1, start);
        }
        let one_more = |seen: &mut Seen, now| seen.window(visitor(u32::MAX), now).0;
        assert_eq!(one_more(&mut seen, start), visitor(0), "all are in their windows");
        assert_eq!(seen.windows.len(), MAX_VISITORS + 1);
        let later = start + Duration::from_secs(60);
        assert_eq!(one_more(&mut seen, later), visitor(u32::MAX));
        assert!(seen.windows.len() <= 2);
    }
}
