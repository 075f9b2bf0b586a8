//! Limits on the TCP connections of a listening socket, in total and per network. A full pool closes idle connections for new ones.
//!
//! A connection is an open file. Without a limit, one client with enough idle or slow connections takes the files that other clients,
//! Redis, Postgres and the logs need. So connections are counted when they are accepted, before a byte is read.

mod connection;
mod eviction;
mod slot;

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

pub use connection::Connection;
pub use slot::{RequestGuard, Slot};

use eviction::OpenConnections;

/// Open files that are not for clients: stores, logs, the admin listener, and connections that are being closed.
const RESERVED_FILES: usize = 500;
/// Connections of the admin listener, out of that reserve: a scraper, a few probes, operators.
const ADMIN_CONNECTIONS: usize = 64;
/// Connections beyond the limit for loopback and trusted proxies, so that health checks reach a full node.
const HEALTH_CHECKS: usize = 32;
/// A network with a limit has at most 1 in this many of all connections, even if the node may open few files.
const NETWORK_SHARE: usize = 2;
/// At most 9 of 10 connections are for live clients, the rest is for requests.
const LIVE_TENTHS: usize = 9;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The node has as many as it may have, and none is idle.
    Full,
    /// The network has as many as it may have.
    Network,
}

impl ConnectionRefusal {
    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Network => "network",
        }
    }
}

/// The connections of one listener.
pub struct ConnectionPool {
    name: &'static str,
    max: usize,
    /// Beyond `max`, for loopback and trusted proxies.
    reserved: usize,
    /// Per household; 0 is no limit.
    max_per_network: u32,
    /// How long a response may stall before its minimum rate counts: a phone that changes cells takes nothing for seconds.
    write_timeout: Duration,
    /// Proxies carry many clients, so network limits do not apply to them.
    trusted: Vec<IpNet>,
    metrics: Arc<Metrics>,
    epoch: Instant,
    open: Mutex<OpenConnections>,
}

impl ConnectionPool {
    /// The pool of the public listener: as many connections as configured, and as the process may open files.
    pub fn public(config: &Config, metrics: Arc<Metrics>) -> Self {
        let max_by_files = open_files().saturating_sub(RESERVED_FILES).max(1);
        let max = match config.server.max_connections {
            0 => max_by_files,
            wanted => wanted.min(max_by_files),
        };
        Self {
            reserved: HEALTH_CHECKS,
            max_per_network: config.limits.connections_per_ip,
            // The configuration was validated when it was read; without that nobody is trusted.
            trusted: crate::config::networks(&config.server.trusted_proxies).unwrap_or_default(),
            ..Self::with("public", max, config, metrics)
        }
    }

    /// The pool of the admin listener, which no client can fill.
    pub fn admin(config: &Config, metrics: Arc<Metrics>) -> Self {
        Self::with("admin", ADMIN_CONNECTIONS, config, metrics)
    }

    fn with(name: &'static str, max: usize, config: &Config, metrics: Arc<Metrics>) -> Self {
        // Creates the time series, so that they start at 0.
        for reason in [ConnectionRefusal::Full, ConnectionRefusal::Network] {
            metrics.connections_refused.with_label_values(&[reason.label()]);
        }
        for reason in ["idle", "slow"] {
            metrics.connections_closed.with_label_values(&[reason]);
        }
        Self {
            name,
            max,
            reserved: 0,
            max_per_network: 0,
            write_timeout: Duration::from_millis(config.server.write_timeout_ms),
            trusted: Vec::new(),
            metrics,
            epoch: Instant::now(),
            open: Mutex::default(),
        }
    }

    /// Most connections of live clients.
    pub fn max_live(&self) -> usize {
        self.max / 10 * LIVE_TENTHS + self.max % 10
    }

    /// Counts an accepted connection.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn admit(self: &Arc<Self>, tcp: TcpStream) -> io::Result<Connection> {
        let peer = tcp.peer_addr()?.ip().to_canonical();
        match self.take(peer) {
            Ok(permit) => Ok(Connection::new(tcp, Some(permit))),
            Err(refusal) => {
                self.metrics.connections_refused.with_label_values(&[refusal.label()]).inc();
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        }
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Permit, ConnectionRefusal> {
        let is_trusted = network::any_contains(&self.trusted, peer);
        let is_limited = self.max_per_network > 0 && !is_trusted;
        let networks = match is_limited {
            true => [Some(Network::household(peer)), Network::site(peer)],
            false => [None, None],
        };
        let mut open = self.open.lock();
        for network in networks.iter().flatten() {
            if open.by_network.get(network).is_some_and(|count| *count >= self.max_of(network)) {
                return Err(ConnectionRefusal::Network);
            }
        }
        let reserved = if is_trusted || peer.is_loopback() { self.reserved } else { 0 };
        if open.slots.len() >= self.max {
            let evicted = open.evict_idle(self.max, self.epoch);
            self.metrics.connections_closed.with_label_values(&["idle"]).inc_by(evicted as u64);
            if open.slots.len() >= self.max + reserved {
                return Err(ConnectionRefusal::Full);
            }
        }
        let slot = Arc::new(Slot::new(networks, self.epoch));
        let key = open.insert(slot.clone());
        drop(open);
        self.metrics.connections.with_label_values(&[self.name]).inc();
        Ok(Permit { pool: self.clone(), slot, key })
    }

    fn max_of(&self, network: &Network) -> u32 {
        let max = match network {
            Network::Household(_) => self.max_per_network,
            Network::Site(_) => site_limit(self.max_per_network),
        };
        max.min(u32::try_from(self.max / NETWORK_SHARE).unwrap_or(u32::MAX)).max(1)
    }
}

/// Counts a connection; dropping it stops counting it.
struct Permit {
    pool: Arc<ConnectionPool>,
    slot: Arc<Slot>,
    key: usize,
}

impl Permit {
    /// Counts a connection closed because its client read a response too slowly.
    fn count_slow(&self) {
        self.pool.metrics.connections_closed.with_label_values(&["slow"]).inc();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.pool.open.lock();
        // An evicted connection is not in the slab any more; another may have its key.
        if open.slots.get(self.key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            open.remove(self.key);
        } else {
            open.evicted -= 1;
        }
        drop(open);
        self.pool.metrics.connections.with_label_values(&[self.pool.name]).dec();
    }
}

/// How many files the process may open, after raising its limit to the hard limit.
fn open_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |it| it as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(max: usize, max_per_network: u32) -> Arc<ConnectionPool> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let config = crate::config::load([]).unwrap();
        let with = ConnectionPool::with("public", max, &config, Arc::default());
        Arc::new(ConnectionPool { max_per_network, trusted, reserved: 2, ..with })
    }

    fn take(pool: &Arc<ConnectionPool>, peer: &str) -> Result<Permit, ConnectionRefusal> {
        pool.take(peer.parse().unwrap())
    }

    #[test]
    fn a_network_has_its_limit_and_at_most_half() {
        let pool = pool(100, 3);
        let held: Vec<Permit> = (0..3).map(|_| take(&pool, "192.0.2.1").unwrap()).collect();
        assert_eq!(take(&pool, "::ffff:192.0.2.1").err(), Some(ConnectionRefusal::Network));
        assert!(take(&pool, "192.0.2.2").is_ok());
        let proxies: Vec<Permit> = (0..20).map(|_| take(&pool, "10.0.0.1").unwrap()).collect();
        drop((held, proxies));
        assert!(take(&pool, "192.0.2.1").is_ok());
        let open = pool.open.lock();
        assert!(open.by_network.is_empty() && open.slots.is_empty());

        let few = self::pool(4, 1000);
        let _held = [take(&few, "192.0.2.1").unwrap(), take(&few, "192.0.2.1").unwrap()];
        assert_eq!(take(&few, "192.0.2.1").err(), Some(ConnectionRefusal::Network));
        assert!(take(&few, "192.0.2.2").is_ok());
    }

    #[test]
    fn an_ipv6_site_has_fewer_connections_than_its_households() {
        let pool = pool(1000, 2);
        let household = |number: u32| take(&pool, &format!("2001:db8:1:{number:x}::1"));
        let held: Vec<Permit> = (0..16).map(|number| household(number).unwrap()).collect();
        assert_eq!(household(16).err(), Some(ConnectionRefusal::Network));
        assert!(take(&pool, "2001:db8:2::1").is_ok());
        drop(held);
        assert!(household(16).is_ok());
    }

    #[test]
    fn the_longest_idle_connection_is_closed_and_a_busy_one_is_not() {
        let pool = pool(4, 0);
        let held: Vec<Permit> = (0..4).map(|_| take(&pool, "192.0.2.1").unwrap()).collect();
        let requests: Vec<RequestGuard> = held.iter().map(|it| it.slot.begin()).collect();
        assert_eq!(take(&pool, "192.0.2.9").err(), Some(ConnectionRefusal::Full), "all are busy");
        let health: Vec<Permit> = (0..2).map(|_| take(&pool, "127.0.0.1").unwrap()).collect();
        assert_eq!(take(&pool, "127.0.0.1").err(), Some(ConnectionRefusal::Full), "the reserve is limited");
        drop((health, requests));
        // 0 is a stream, 1 is read slowly, 2 became idle after 3.
        assert!(held[0].slot.begin().keep_open());
        held[1].slot.set_blocked(true);
        held[3].slot.idle_since_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        held[2].slot.idle_since_ms.store(1, std::sync::atomic::Ordering::Relaxed);
        pool.open.lock().searched_at = None;
        let _new = take(&pool, "192.0.2.9").unwrap();
        let ending: Vec<bool> = held.iter().map(|it| it.slot.must_end()).collect();
        assert_eq!(ending, [false, false, false, true]);
        drop(held);
        let open = pool.open.lock();
        assert_eq!((open.evicted, open.slots.len()), (0, 1));
    }

    #[test]
    fn a_request_on_an_evicted_connection_is_still_answered() {
        let pool = pool(1, 0);
        let held = take(&pool, "192.0.2.1").unwrap();
        assert_eq!(pool.open.lock().evict_idle(1, Instant::now() - Duration::from_secs(1)), 1);
        let _new = take(&pool, "192.0.2.9").unwrap();
        assert_eq!(pool.open.lock().evicted, 1);
        let request = held.slot.begin();
        assert!(!held.slot.must_end(), "the request is answered first");
        held.slot.set_blocked(true);
        assert!(!request.keep_open(), "it would stay open uncounted");
        assert!(!held.slot.must_end(), "the client has not taken the answer");
        held.slot.set_blocked(false);
        assert!(held.slot.must_end());
        drop(held);
        assert_eq!(pool.open.lock().evicted, 0);
    }
}
