//! The gate: how many requests a minute an address and a user may make, over all nodes together. A node takes leases from
//! Redis and serves them from memory, and remembers refusals, so that a flood costs a look into a map and no script. It
//! knows no HTTP.

mod leases;
mod refusals;
mod window;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::config;
use crate::error::{Fault, RateWindow, Refusal};
use crate::metrics::Metrics;
use crate::network::{Network, site_limit};
use crate::store::{AttemptWindow, Attempts, Store, Visitor};
use leases::Leases;
use refusals::Refusals;

/// The setting of what an address may ask for.
const PER_IP: &str = "requests_per_minute_per_ip";

/// One node's gate.
pub struct RateLimiter {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    addresses: Leases,
    sites: Leases,
    users: Leases,
    full: Refusals,
}

impl RateLimiter {
    /// With the limits of the settings.
    pub fn new(limits: &config::Limits, store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            addresses: Leases::new(limits.requests_per_minute_per_ip),
            sites: Leases::new(site_limit(limits.requests_per_minute_per_ip)),
            users: Leases::new(limits.requests_per_minute_per_user),
            full: Refusals::default(),
        }
    }

    /// Counts a request from an address: for its household, and of IPv6 for its site.
    ///
    /// # Errors
    /// Too many this minute.
    pub async fn address(&self, from: IpAddr) -> Result<(), Refusal> {
        let household = Visitor::Network(Network::household(from));
        let counted = self.addresses.count(&self.store, household).await;
        self.refused("address", PER_IP, counted)?;
        let Some(site) = Network::site(from) else { return Ok(()) };
        // In a box: IPv4, which is most, has no room for it in every request's future.
        let counted = Box::pin(self.sites.count(&self.store, Visitor::Network(site))).await;
        self.refused("site", PER_IP, counted)
    }

    /// Counts a request with a user's login.
    ///
    /// # Errors
    /// Too many this minute.
    pub async fn user(&self, user: Uuid) -> Result<(), Refusal> {
        let counted = self.users.count(&self.store, Visitor::User(user)).await;
        self.refused("user", "requests_per_minute_per_user", counted)
    }

    /// Counts an attempt against some windows, each with its limit (0: any), and tells where the tightest stands. One that is
    /// known to be full is not asked about.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn attempt(&self, windows: &[(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        for (place, (window, _)) in windows.iter().enumerate() {
            if let Err(told) = self.full.check(window, Instant::now()) {
                self.metrics.rate_limited.with_label_values(&["attempt"]).inc();
                return Ok(Attempts { allowed: false, window: Some(told), place: Some(place) });
            }
        }
        let attempts = self.store.attempt(windows).await?;
        if let (Some(told), Some(place)) = (attempts.window, attempts.place) {
            self.note(&windows[place].0, Some(told));
        }
        Ok(attempts)
    }

    /// Looks whether a window is known to be full, without asking Redis.
    ///
    /// # Errors
    /// It is, for as long as the refusal says.
    pub fn check(&self, window: &AttemptWindow) -> Result<(), Refusal> {
        self.refused("attempt", window.limit(), self.full.check(window, Instant::now()))
    }

    /// Whether a window is known to be full, without counting a refusal.
    pub fn is_full(&self, window: &AttemptWindow) -> bool {
        self.full.check(window, Instant::now()).is_err()
    }

    /// Remembers where a script said that a window stands, if it is full.
    pub fn note(&self, window: &AttemptWindow, told: Option<RateWindow>) {
        if let Some(told) = told.filter(|it| it.used > it.limit) {
            self.full.remember(window.clone(), told, Instant::now());
        }
    }

    /// Counts a refusal, and puts it into words.
    fn refused(&self, by: &str, limit: &'static str, counted: Result<(), RateWindow>) -> Result<(), Refusal> {
        counted.map_err(|window| {
            self.metrics.rate_limited.with_label_values(&[by]).inc();
            Refusal::RateLimited { limit, window }
        })
    }
}
