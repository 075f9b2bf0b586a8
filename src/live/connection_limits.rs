//! Limits of live connections: per node, user and network, and how many handshakes run at once.
//!
//! Socket.IO sessions log in after their handshake. Until then they count in a pool of their own, so that opening many of them
//! does not keep players out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::config;
use crate::network::Network;

/// One network may have 1 in this many of the pending sessions.
const PENDING_NETWORK_SHARE: usize = 4;
/// Connections without a login may have 3 of 4 of all, the rest is for players.
const ANONYMOUS_QUARTERS: usize = 3;

#[derive(Default)]
struct Counts {
    by_user: HashMap<Uuid, u32>,
    by_network: HashMap<Network, u32>,
    anonymous: usize,
    total: usize,
    pending: usize,
    pending_by_network: HashMap<Network, u32>,
}

/// Why a connection is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// The user or the network has as many connections as it may have.
    Exceeded {
        /// The setting with the limit.
        limit: &'static str,
        /// The limit.
        max: u32,
    },
    /// The node has as many connections as it may have.
    Full,
}

impl LimitError {
    /// The reason's label value in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Exceeded { .. } => "limit",
            Self::Full => "full",
        }
    }
}

/// Counts a node's live connections. A limit of 0 is no limit.
pub struct ConnectionLimits {
    max: usize,
    max_per_user: u32,
    max_per_address: u32,
    max_pending: usize,
    counts: Mutex<Counts>,
    open: TaskTracker,
}

/// One live connection; dropping it stops counting it.
pub struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    user: Option<Uuid>,
    address: IpAddr,
    _open: TaskTrackerToken,
}

/// A session that has not logged in yet; dropping it stops counting it.
pub struct PendingPermit {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    _open: TaskTrackerToken,
}

impl ConnectionLimits {
    /// The limits of the configuration, and at most `connections`, the number of TCP connections for live clients.
    pub fn new(limits: &config::Limits, live: &config::Live, connections: usize) -> Self {
        let total = live.max_sockets.min(connections);
        let max_pending = (total.saturating_mul(live.pending_percent) / 100).max(1);
        Self {
            max: total.saturating_sub(max_pending).max(1),
            max_per_user: limits.sockets_per_user,
            max_per_address: limits.sockets_per_ip,
            max_pending,
            counts: Mutex::default(),
            open: TaskTracker::new(),
        }
    }

    /// Waits until every permit has been dropped. Clients that still connect during a drain are closed at once.
    pub async fn all_released(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Permits a connection of a user, or of a client without a login.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn acquire(
        self: &Arc<Self>,
        user: Option<Uuid>,
        address: IpAddr,
    ) -> Result<ConnectionPermit, LimitError> {
        let mut counts = self.counts.lock();
        self.check(&counts, user, address)?;
        match user {
            Some(user) => *counts.by_user.entry(user).or_default() += 1,
            None => counts.anonymous += 1,
        }
        for (network, _) in Network::counted(address, self.max_per_address) {
            *counts.by_network.entry(network).or_default() += 1;
        }
        counts.total += 1;
        Ok(ConnectionPermit { limits: self.clone(), user, address, _open: self.open.token() })
    }

    /// Permits a session that logs in later. Refused also if a connection would be: a client that is refused before its handshake
    /// reconnects by itself.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn acquire_pending(self: &Arc<Self>, address: IpAddr) -> Result<PendingPermit, LimitError> {
        let mut counts = self.counts.lock();
        // The user is not known yet; the nil UUID has no connections.
        self.check(&counts, Some(Uuid::nil()), address)?;
        let share = u32::try_from(self.max_pending / PENDING_NETWORK_SHARE).unwrap_or(u32::MAX).max(1);
        let networks = || [Some(Network::household(address)), Network::site(address)].into_iter().flatten();
        let is_full =
            |network: Network| counts.pending_by_network.get(&network).is_some_and(|count| *count >= share);
        if counts.pending >= self.max_pending || networks().any(is_full) {
            return Err(LimitError::Full);
        }
        for network in networks() {
            *counts.pending_by_network.entry(network).or_default() += 1;
        }
        counts.pending += 1;
        Ok(PendingPermit { limits: self.clone(), address, _open: self.open.token() })
    }

    fn check(&self, counts: &Counts, user: Option<Uuid>, address: IpAddr) -> Result<(), LimitError> {
        let is_full = counts.total >= self.max;
        let no_anonymous = counts.anonymous >= (self.max * ANONYMOUS_QUARTERS).div_ceil(4);
        if is_full || (user.is_none() && no_anonymous) {
            return Err(LimitError::Full);
        }
        let of_user = user
            .and_then(|user| counts.by_user.get(&user))
            .map(|count| ("sockets_per_user", *count, self.max_per_user));
        let networks = Network::counted(address, self.max_per_address);
        let of_networks = networks
            .filter_map(|(network, max)| Some(("sockets_per_ip", *counts.by_network.get(&network)?, max)));
        for (limit, count, max) in of_user.into_iter().chain(of_networks) {
            if max > 0 && count >= max {
                return Err(LimitError::Exceeded { limit, max });
            }
        }
        Ok(())
    }
}

impl PendingPermit {
    /// Turns it into the permit of a user's connection.
    ///
    /// # Errors
    /// A limit of the user, the network or the node is reached.
    pub fn log_in(self, user: Uuid) -> Result<ConnectionPermit, LimitError> {
        self.limits.acquire(Some(user), self.address)
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        decrement(&mut counts.pending_by_network, Network::household(self.address));
        if let Some(site) = Network::site(self.address) {
            decrement(&mut counts.pending_by_network, site);
        }
        counts.pending -= 1;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        match self.user {
            Some(user) => decrement(&mut counts.by_user, user),
            None => counts.anonymous -= 1,
        }
        for (network, _) in Network::counted(self.address, 0) {
            decrement(&mut counts.by_network, network);
        }
        counts.total -= 1;
    }
}

fn decrement<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// Limits how many handshakes run at once, and how many wait. When a node dies, all its clients reconnect to the others: they queue, so that
/// players are served meanwhile.
pub struct HandshakeQueue {
    running: Semaphore,
    queued: AtomicUsize,
    max_queued: usize,
}

impl HandshakeQueue {
    /// At most `max_concurrent` handshakes run and `max_queued` wait.
    pub fn new(max_concurrent: usize, max_queued: usize) -> Self {
        Self { running: Semaphore::new(max_concurrent), queued: AtomicUsize::new(0), max_queued }
    }

    /// Waits until the handshake may run; hold the permit until it is done. `None` if the queue is full.
    pub async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.running.try_acquire() {
            return Some(permit);
        }
        let _place = QueuePlace::take(&self.queued, self.max_queued)?;
        self.running.acquire().await.ok()
    }
}

/// A place in the queue; dropped also if the client stops waiting.
struct QueuePlace<'a>(&'a AtomicUsize);

impl<'a> QueuePlace<'a> {
    fn take(queued: &'a AtomicUsize, max: usize) -> Option<Self> {
        let before = queued.fetch_add(1, Ordering::Relaxed);
        let place = Self(queued);
        (before < max).then_some(place)
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize, change: impl FnOnce(&mut config::Config)) -> Arc<ConnectionLimits> {
        let mut config = config::load([]).unwrap();
        change(&mut config);
        Arc::new(ConnectionLimits::new(&config.limits, &config.live, connections))
    }

    #[test]
    fn a_dropped_permit_can_be_acquired_again() {
        let limits =
            limits(5, |config| (config.limits.sockets_per_user, config.limits.sockets_per_ip) = (2, 3));
        let (one, two) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let address = IpAddr::from([127, 0, 0, 1]);
        let held = [limits.acquire(one, address).unwrap(), limits.acquire(one, address).unwrap()];
        assert_eq!(
            limits.acquire(one, address).err(),
            Some(LimitError::Exceeded { limit: "sockets_per_user", max: 2 }),
            "the user has two"
        );
        let _third = limits.acquire(two, address).unwrap();
        assert_eq!(
            limits.acquire(None, address).err(),
            Some(LimitError::Exceeded { limit: "sockets_per_ip", max: 3 }),
            "the address has three"
        );
        let _fourth = limits.acquire(two, IpAddr::from([127, 0, 0, 2])).unwrap();
        assert_eq!(limits.acquire(None, IpAddr::from([127, 0, 0, 3])).err(), Some(LimitError::Full));
        drop(held);
        assert!(limits.acquire_pending(address).unwrap().log_in(Uuid::from_u128(1)).is_ok());
    }

    #[test]
    fn anonymous_and_pending_connections_leave_room_for_players() {
        let limits = limits(88, |config| config.limits.sockets_per_ip = 0);
        let from = |host: u8| IpAddr::from([192, 0, 2, host]);
        let anonymous: Vec<ConnectionPermit> =
            (0..60).map(|host| limits.acquire(None, from(host)).unwrap()).collect();
        assert_eq!(limits.acquire(None, from(99)).err(), Some(LimitError::Full));
        // 8 pending sessions, two per address.
        let pending: Vec<PendingPermit> =
            (0..8).map(|host| limits.acquire_pending(from(host / 2)).unwrap()).collect();
        assert_eq!(limits.acquire_pending(from(99)).err(), Some(LimitError::Full));
        let players: Vec<ConnectionPermit> =
            (0..19).map(|_| limits.acquire(Some(Uuid::nil()), from(1)).unwrap()).collect();
        assert!(pending.into_iter().next().unwrap().log_in(Uuid::nil()).is_ok());
        assert!(limits.acquire_pending(from(1)).is_ok(), "the others are gone");
        drop((anonymous, players));
        let counts = limits.counts.lock();
        assert_eq!((counts.total, counts.anonymous, counts.pending), (0, 0, 0));
        assert!(
            counts.by_network.is_empty() && counts.pending_by_network.is_empty() && counts.by_user.is_empty()
        );
    }

    #[test]
    fn one_network_has_a_quarter_of_the_pending_sessions() {
        let limits = limits(80, |_| ());
        let from = |address: &str| limits.acquire_pending(address.parse().unwrap());
        let _held = [from("192.0.2.1").unwrap(), from("192.0.2.1").unwrap()];
        assert_eq!(from("192.0.2.1").err(), Some(LimitError::Full));
        let _site = [from("2001:db8:1:1::1").unwrap(), from("2001:db8:1:2::1").unwrap()];
        assert_eq!(from("2001:db8:1:3::1").err(), Some(LimitError::Full));
        assert!(from("2001:db8:2::1").is_ok() && from("192.0.2.2").is_ok());
    }

    #[test]
    fn an_ipv6_site_has_the_connections_of_eight_households() {
        let limits = limits(80, |config| config.limits.sockets_per_ip = 1);
        let from =
            |household: u32| limits.acquire(None, format!("2001:db8:1:{household:x}::1").parse().unwrap());
        let _held: Vec<ConnectionPermit> = (0..8).map(|household| from(household).unwrap()).collect();
        assert_eq!(from(8).err(), Some(LimitError::Exceeded { limit: "sockets_per_ip", max: 8 }));
    }

    #[tokio::test]
    async fn a_full_handshake_queue_refuses() {
        let handshakes = HandshakeQueue::new(1, 1);
        let permit = handshakes.acquire().await;
        assert!(permit.is_some());
        let waiting = handshakes.acquire();
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(handshakes.acquire().await.is_none(), "one waits already");
        drop(permit);
        assert!(waiting.await.is_some());
        assert!(handshakes.acquire().await.is_some(), "those that left are not counted");
    }
}
