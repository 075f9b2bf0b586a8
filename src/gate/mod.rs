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
use crate::error::{RateWindow, Refusal, Result};
use crate::metrics::Metrics;
use crate::store::{AttemptWindow, Store, Visitor};
use leases::Leases;
use refusals::Refusals;

/// One node's gate.
pub struct Gate {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    addresses: Leases,
    users: Leases,
    awards: Refusals,
    registers_per_address: u32,
}

impl Gate {
    /// With the limits of the settings.
    pub fn new(limits: &config::Limits, store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            addresses: Leases::new(limits.requests_per_minute_per_ip),
            users: Leases::new(limits.requests_per_minute_per_user),
            awards: Refusals::default(),
            registers_per_address: limits.registers_per_minute_per_ip,
        }
    }

    /// Counts a request from an address, as limits count it.
    ///
    /// # Errors
    /// Too many this minute.
    pub async fn address(&self, from: IpAddr) -> Result<(), Refusal> {
        let counted = self.addresses.count(&self.store, Visitor::Address(from)).await;
        self.refused("address", counted)
    }

    /// Counts a request with a user's login.
    ///
    /// # Errors
    /// Too many this minute.
    pub async fn user(&self, user: Uuid) -> Result<(), Refusal> {
        let counted = self.users.count(&self.store, Visitor::User(user)).await;
        self.refused("user", counted)
    }

    /// Counts a registration from an address, as limits count it, and tells where the window stands.
    ///
    /// # Errors
    /// Too many this minute; Redis is away.
    pub async fn register(&self, from: IpAddr) -> Result<Option<RateWindow>> {
        if self.registers_per_address == 0 {
            return Ok(None);
        }
        let windows = [(AttemptWindow::RegistersFrom(from), self.registers_per_address)];
        let attempts = self.store.attempt(&windows).await?;
        match attempts.window {
            Some(window) if !attempts.allowed => Err(Refusal::RateLimited(window).into()),
            window => Ok(window),
        }
    }

    /// Looks whether a user's window of awards is known to be full, without asking Redis.
    ///
    /// # Errors
    /// It is, for as long as the refusal says.
    pub fn check_award_window(&self, user: Uuid) -> Result<(), Refusal> {
        self.refused("award", self.awards.check(user, Instant::now()))
    }

    /// Remembers that a user's window of awards is full until it closes.
    pub fn award_window_full(&self, user: Uuid, window: RateWindow) {
        self.awards.remember(user, window, Instant::now());
    }

    /// Counts a refusal, and puts it into words.
    fn refused(&self, by: &str, counted: Result<(), RateWindow>) -> Result<(), Refusal> {
        counted.map_err(|window| {
            self.metrics.gate_refusals.with_label_values(&[by]).inc();
            Refusal::RateLimited(window)
        })
    }
}
