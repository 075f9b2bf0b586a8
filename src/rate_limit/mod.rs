//! Rate limits per client address and per user, shared by all nodes. Each node leases a share of a window from Redis and serves it from
//! memory. Full windows are cached, so a flood costs one map lookup per request and no Redis call. This module does not depend on HTTP.

mod full_windows;
mod leases;
mod window;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::config;
use crate::error::{Error, Fault, RateWindow, Refusal, Result};
use crate::metrics::Metrics;
use crate::network::{Network, site_limit};
use crate::store::{AttemptWindow, Attempts, RateLimitKey, Store};
use full_windows::FullWindows;
use leases::QuotaLeases;

/// The setting for requests of an address.
const PER_IP: &str = "requests_per_minute_per_ip";

/// The rate limits of one node.
pub struct RateLimiter {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    addresses: QuotaLeases,
    sites: QuotaLeases,
    users: QuotaLeases,
    full: FullWindows,
}

impl RateLimiter {
    /// With the limits of the settings.
    pub fn new(limits: &config::Limits, store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            addresses: QuotaLeases::new(limits.requests_per_minute_per_ip),
            sites: QuotaLeases::new(site_limit(limits.requests_per_minute_per_ip)),
            users: QuotaLeases::new(limits.requests_per_minute_per_user),
            full: FullWindows::default(),
        }
    }

    /// Counts a request of an address: for its household, and in IPv6 for its site.
    ///
    /// # Errors
    /// The limit of this minute is reached.
    pub async fn address(&self, from: IpAddr) -> Result<(), Refusal> {
        let household = RateLimitKey::Network(Network::household(from));
        let counted = self.addresses.count(&self.store, household).await;
        self.refused("address", PER_IP, counted)?;
        let Some(site) = Network::site(from) else { return Ok(()) };
        // Boxed, so that the future of an IPv4 request has no room for it.
        let counted = Box::pin(self.sites.count(&self.store, RateLimitKey::Network(site))).await;
        self.refused("site", PER_IP, counted)
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// The limit of this minute is reached.
    pub async fn user(&self, user: Uuid) -> Result<(), Refusal> {
        let counted = self.users.count(&self.store, RateLimitKey::User(user)).await;
        self.refused("user", "requests_per_minute_per_user", counted)
    }

    /// Counts an attempt in several windows, each with its limit (0: none), and returns the tightest. Skips Redis if a window is known to
    /// be full.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn attempt(&self, windows: &[(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        for (index, (window, _)) in windows.iter().enumerate() {
            if let Err(full) = self.full.check(window, Instant::now()) {
                self.metrics.rate_limited.with_label_values(&["attempt"]).inc();
                return Ok(Attempts { allowed: false, window: Some(full), place: Some(index) });
            }
        }
        let attempts = self.store.attempt(windows).await?;
        if let (Some(state), Some(index)) = (attempts.window, attempts.place) {
            self.note(&windows[index].0, Some(state));
        }
        Ok(attempts)
    }

    /// Refuses if a window is known to be full, without a call to Redis.
    ///
    /// # Errors
    /// The window is full.
    pub fn check(&self, window: &AttemptWindow) -> Result<(), Refusal> {
        self.refused("attempt", window.limit(), self.full.check(window, Instant::now()))
    }

    /// Whether a window is known to be full. Does not count a refusal.
    pub fn is_full(&self, window: &AttemptWindow) -> bool {
        self.full.check(window, Instant::now()).is_err()
    }

    /// Caches the state of a window that a script returned, if it is full.
    pub fn note(&self, window: &AttemptWindow, state: Option<RateWindow>) {
        if let Some(state) = state.filter(|it| it.used > it.limit) {
            self.full.insert(window.clone(), state, Instant::now());
        }
    }

    /// Converts a full window to a refusal and counts it in the metrics.
    fn refused(
        &self,
        scope: &str,
        limit: &'static str,
        counted: Result<(), RateWindow>,
    ) -> Result<(), Refusal> {
        counted.map_err(|window| {
            self.metrics.rate_limited.with_label_values(&[scope]).inc();
            Refusal::RateLimited { limit, window }
        })
    }
}

/// The outcome of an attempt and the caller's rate-limit window, which every response reports.
pub struct AttemptOutcome<T> {
    /// The result, or why the attempt failed.
    pub outcome: Result<T>,
    /// The rate-limit window; `None` without a limit, or if Redis did not answer.
    pub rate: Option<RateWindow>,
    /// True if the response was replayed for a repeated `Idempotency-Key`.
    pub replayed: bool,
}

impl<T, E: Into<Error>> From<E> for AttemptOutcome<T> {
    fn from(error: E) -> Self {
        Self { outcome: Err(error.into()), rate: None, replayed: false }
    }
}

/// The refusal for a full window.
pub fn rate_limited(window: &AttemptWindow, rate: Option<RateWindow>) -> Refusal {
    let unknown = RateWindow { limit: 0, used: 0, reset_ms: 1000 };
    Refusal::RateLimited { limit: window.limit(), window: rate.unwrap_or(unknown) }
}
