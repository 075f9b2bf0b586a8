//! TCP connections of a listener: how many it holds, how many of them one network holds, and which one is closed for a new one.
//!
//! A connection is an open file. Without a limit one client that opens enough of them, and says nothing or reads slowly, takes the
//! files that other clients, Redis, Postgres and the logs need. So connections are counted when they are accepted, before a byte is read.

mod open;
mod slot;
mod stream;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::network::{self, Network, site_limit};

pub use slot::{Busy, Slot};
pub use stream::Connection;

use open::Open;

/// Open files that no client gets: stores, logs, the admin listener, and connections that are being closed.
const RESERVED_FILES: usize = 500;
/// Connections of the admin listener, out of the reserve: a scraper, a few probes and operators.
const ADMIN_CONNECTIONS: usize = 64;
/// Connections beyond the limit that loopback and trusted proxies may hold, so that health checks come through to a full node.
const HEALTH_CHECKS: usize = 32;
/// A network that has a limit holds at most this part of all connections, however few files a node may have.
const NETWORK_SHARE: usize = 2;
/// Sockets take at most 9 of 10 connections: the rest is for requests.
const SOCKETS_OF_TEN: usize = 9;

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The node has as many as it may have, and none is idle.
    Full,
    /// The network has as many as it may have.
    Network,
}

impl Refused {
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Network => "network",
        }
    }
}

/// The connections of one listener.
pub struct Connections {
    name: &'static str,
    most: usize,
    /// Beyond `most`, for loopback and trusted proxies.
    reserved: usize,
    /// Of a household; 0: no limit.
    per_network: u32,
    /// How long an answer may wait for its client before its least rate counts: a phone that changes its cell takes nothing for seconds.
    write_timeout: Duration,
    /// Proxies speak for many, so no network's limit is theirs.
    trusted: Vec<IpNet>,
    metrics: Arc<Metrics>,
    epoch: Instant,
    open: Mutex<Open>,
}

impl Connections {
    /// Those of the players' listener: as many as the settings say, and as the process may have files for.
    pub fn public(config: &Config, metrics: Arc<Metrics>) -> Self {
        let by_files = open_files().saturating_sub(RESERVED_FILES).max(1);
        let most = match config.server.max_connections {
            0 => by_files,
            wanted => wanted.min(by_files),
        };
        Self {
            reserved: HEALTH_CHECKS,
            per_network: config.limits.connections_per_ip,
            // The settings were checked when they were read; of others nobody is trusted.
            trusted: crate::config::networks(&config.server.trusted_proxies).unwrap_or_default(),
            ..Self::with("public", most, config, metrics)
        }
    }

    /// Those of the admin listener, which are nobody else's.
    pub fn admin(config: &Config, metrics: Arc<Metrics>) -> Self {
        Self::with("admin", ADMIN_CONNECTIONS, config, metrics)
    }

    fn with(name: &'static str, most: usize, config: &Config, metrics: Arc<Metrics>) -> Self {
        // So that they are there before the first.
        for reason in [Refused::Full, Refused::Network] {
            metrics.connections_refused.with_label_values(&[reason.as_str()]);
        }
        for reason in ["idle", "slow"] {
            metrics.connections_closed.with_label_values(&[reason]);
        }
        Self {
            name,
            most,
            reserved: 0,
            per_network: 0,
            write_timeout: Duration::from_millis(config.server.write_timeout_ms),
            trusted: Vec::new(),
            metrics,
            epoch: Instant::now(),
            open: Mutex::default(),
        }
    }

    /// How many of the connections may be sockets.
    pub fn most_sockets(&self) -> usize {
        self.most / 10 * SOCKETS_OF_TEN + self.most % 10
    }

    /// Counts a connection that was accepted.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn admit(self: &Arc<Self>, tcp: TcpStream) -> io::Result<Connection> {
        let peer = tcp.peer_addr()?.ip().to_canonical();
        match self.take(peer) {
            Ok(permit) => Ok(Connection::new(tcp, Some(permit))),
            Err(refused) => {
                self.metrics.connections_refused.with_label_values(&[refused.as_str()]).inc();
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        }
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Permit, Refused> {
        let is_trusted = network::any_contains(&self.trusted, peer);
        let counts = self.per_network > 0 && !is_trusted;
        let networks = match counts {
            true => [Some(Network::household(peer)), Network::site(peer)],
            false => [None, None],
        };
        let mut open = self.open.lock();
        for network in networks.iter().flatten() {
            if open.by_network.get(network).is_some_and(|it| *it >= self.limit_of(network)) {
                return Err(Refused::Network);
            }
        }
        let reserved = if is_trusted || peer.is_loopback() { self.reserved } else { 0 };
        if open.slots.len() >= self.most {
            let ended = open.end_some(self.most, self.epoch);
            self.metrics.connections_closed.with_label_values(&["idle"]).inc_by(ended as u64);
            if open.slots.len() >= self.most + reserved {
                return Err(Refused::Full);
            }
        }
        let slot = Arc::new(Slot::new(networks, self.epoch));
        let place = open.insert(slot.clone());
        drop(open);
        self.metrics.connections.with_label_values(&[self.name]).inc();
        Ok(Permit { pool: self.clone(), slot, place })
    }

    fn limit_of(&self, network: &Network) -> u32 {
        let limit = match network {
            Network::Household(_) => self.per_network,
            Network::Site(_) => site_limit(self.per_network),
        };
        limit.min(u32::try_from(self.most / NETWORK_SHARE).unwrap_or(u32::MAX)).max(1)
    }
}

/// A connection's place; dropping it gives it back.
struct Permit {
    pool: Arc<Connections>,
    slot: Arc<Slot>,
    place: usize,
}

impl Permit {
    /// The client took an answer too slowly.
    fn too_slow(&self) {
        self.pool.metrics.connections_closed.with_label_values(&["slow"]).inc();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.pool.open.lock();
        // Somebody else may have the place of one that was told to end.
        if open.slots.get(self.place).is_some_and(|it| Arc::ptr_eq(it, &self.slot)) {
            open.forget(self.place);
        } else {
            open.ending -= 1;
        }
        drop(open);
        self.pool.metrics.connections.with_label_values(&[self.pool.name]).dec();
    }
}

/// How many files the process may have open: as many as the system lets it.
fn open_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |it| it as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(most: usize, per_network: u32) -> Arc<Connections> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let config = crate::config::load([]).unwrap();
        let with = Connections::with("public", most, &config, Arc::default());
        Arc::new(Connections { per_network, trusted, reserved: 2, ..with })
    }

    fn take(pool: &Arc<Connections>, peer: &str) -> Result<Permit, Refused> {
        pool.take(peer.parse().unwrap())
    }

    #[test]
    fn a_network_has_its_limit_and_never_more_than_half() {
        let pool = pool(100, 3);
        let held: Vec<Permit> = (0..3).map(|_| take(&pool, "192.0.2.1").unwrap()).collect();
        assert_eq!(take(&pool, "::ffff:192.0.2.1").err(), Some(Refused::Network));
        assert!(take(&pool, "192.0.2.2").is_ok());
        let proxies: Vec<Permit> = (0..20).map(|_| take(&pool, "10.0.0.1").unwrap()).collect();
        drop((held, proxies));
        assert!(take(&pool, "192.0.2.1").is_ok());
        let open = pool.open.lock();
        assert!(open.by_network.is_empty() && open.slots.is_empty());

        let few = self::pool(4, 1000);
        let _held = [take(&few, "192.0.2.1").unwrap(), take(&few, "192.0.2.1").unwrap()];
        assert_eq!(take(&few, "192.0.2.1").err(), Some(Refused::Network));
        assert!(take(&few, "192.0.2.2").is_ok());
    }

    #[test]
    fn a_site_of_ipv6_is_not_all_its_households() {
        let pool = pool(1000, 2);
        let household = |number: u32| take(&pool, &format!("2001:db8:1:{number:x}::1"));
        let held: Vec<Permit> = (0..16).map(|it| household(it).unwrap()).collect();
        assert_eq!(household(16).err(), Some(Refused::Network));
        assert!(take(&pool, "2001:db8:2::1").is_ok());
        drop(held);
        assert!(household(16).is_ok());
    }

    #[test]
    fn the_longest_idle_gives_way_and_one_with_a_request_does_not() {
        let pool = pool(4, 0);
        let held: Vec<Permit> = (0..4).map(|_| take(&pool, "192.0.2.1").unwrap()).collect();
        let requests: Vec<Busy> = held.iter().map(|it| it.slot.begin()).collect();
        assert_eq!(take(&pool, "192.0.2.9").err(), Some(Refused::Full), "all are busy");
        let health: Vec<Permit> = (0..2).map(|_| take(&pool, "127.0.0.1").unwrap()).collect();
        assert_eq!(take(&pool, "127.0.0.1").err(), Some(Refused::Full), "the reserve has an end");
        drop((health, requests));
        // One is a stream, one is read slowly, one became idle after the last.
        assert!(held[0].slot.begin().stay());
        held[1].slot.blocked(true);
        held[3].slot.idle_since_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        held[2].slot.idle_since_ms.store(1, std::sync::atomic::Ordering::Relaxed);
        pool.open.lock().looked_at = None;
        let _new = take(&pool, "192.0.2.9").unwrap();
        let ends: Vec<bool> = held.iter().map(|it| it.slot.ends()).collect();
        assert_eq!(ends, [false, false, false, true]);
        drop(held);
        let open = pool.open.lock();
        assert_eq!((open.ending, open.slots.len()), (0, 1));
    }

    #[test]
    fn a_request_that_comes_as_its_connection_is_closed_is_answered_and_none_stays() {
        let pool = pool(1, 0);
        let held = take(&pool, "192.0.2.1").unwrap();
        assert_eq!(pool.open.lock().end_some(1, Instant::now() - Duration::from_secs(1)), 1);
        let _new = take(&pool, "192.0.2.9").unwrap();
        assert_eq!(pool.open.lock().ending, 1);
        let request = held.slot.begin();
        assert!(!held.slot.ends(), "the request is answered first");
        held.slot.blocked(true);
        assert!(!request.stay(), "it would hold a place that nobody counts");
        assert!(!held.slot.ends(), "the client has not taken the answer");
        held.slot.blocked(false);
        assert!(held.slot.ends());
        drop(held);
        assert_eq!(pool.open.lock().ending, 0);
    }
}
