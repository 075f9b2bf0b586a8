//! The sockets that are open on this node: how many it, a user and a network may have, and when the last one has left. Sessions that
//! have not logged in have a pool of their own, so that whoever opens many of them keeps no player out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::config;
use crate::network::Network;

/// A network may have this part of the sessions that have not logged in.
const PENDING_SHARE: usize = 4;
/// Spectators, who have no login, leave a quarter of the seats to players.
const SPECTATORS_OF_FOUR: usize = 3;

#[derive(Default)]
struct Taken {
    by_user: HashMap<Uuid, u32>,
    by_network: HashMap<Network, u32>,
    spectators: usize,
    all: usize,
    pending: usize,
    pending_by_network: HashMap<Network, u32>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// The user, or the network, has as many as it may have.
    Taken {
        /// The setting that says how many.
        limit: &'static str,
        /// So many.
        max: u32,
    },
    /// The node has no more.
    Full,
}

impl NoSeat {
    /// The reason under which it is counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken { .. } => "limit",
            Self::Full => "full",
        }
    }
}

/// The seats of a node; a limit of 0 is none.
pub struct Seats {
    most: usize,
    per_user: u32,
    per_address: u32,
    most_pending: usize,
    taken: Mutex<Taken>,
    open: TaskTracker,
}

/// One open socket; dropping it gives the seat back.
pub struct Seat {
    seats: Arc<Seats>,
    user: Option<Uuid>,
    address: IpAddr,
    _open: TaskTrackerToken,
}

/// A session that has not logged in; dropping it gives its place back.
pub struct Pending {
    seats: Arc<Seats>,
    address: IpAddr,
    _open: TaskTrackerToken,
}

impl Seats {
    /// With the limits of the settings, and no more than there are connections for.
    pub fn new(limits: &config::Limits, live: &config::Live, connections: usize) -> Self {
        let all = live.max_sockets.min(connections);
        let most_pending = (all.saturating_mul(live.pending_percent) / 100).max(1);
        Self {
            most: all.saturating_sub(most_pending).max(1),
            per_user: limits.sockets_per_user,
            per_address: limits.sockets_per_ip,
            most_pending,
            taken: Mutex::default(),
            open: TaskTracker::new(),
        }
    }

    /// Waits until the last socket has left; whoever still comes while the node drains is sent away at once.
    pub async fn all_left(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// A seat for a user, or for a spectator.
    ///
    /// # Errors
    /// There is none left.
    pub fn take(self: &Arc<Self>, user: Option<Uuid>, address: IpAddr) -> Result<Seat, NoSeat> {
        let mut taken = self.taken.lock();
        self.check(&taken, user, address)?;
        match user {
            Some(user) => *taken.by_user.entry(user).or_default() += 1,
            None => taken.spectators += 1,
        }
        for (network, _) in Network::counted(address, self.per_address) {
            *taken.by_network.entry(network).or_default() += 1;
        }
        taken.all += 1;
        Ok(Seat { seats: self.clone(), user, address, _open: self.open.token() })
    }

    /// A place for a session whose login is still to come. Where there would be no seat for it there is no place either: a client
    /// that is refused before its handshake comes back by itself.
    ///
    /// # Errors
    /// There is none left.
    pub fn pend(self: &Arc<Self>, address: IpAddr) -> Result<Pending, NoSeat> {
        let mut taken = self.taken.lock();
        // Whoever it is will be a user.
        self.check(&taken, Some(Uuid::nil()), address)?;
        let share = u32::try_from(self.most_pending / PENDING_SHARE).unwrap_or(u32::MAX).max(1);
        let networks = || [Some(Network::household(address)), Network::site(address)].into_iter().flatten();
        let is_full = |it: Network| taken.pending_by_network.get(&it).is_some_and(|count| *count >= share);
        if taken.pending >= self.most_pending || networks().any(is_full) {
            return Err(NoSeat::Full);
        }
        for network in networks() {
            *taken.pending_by_network.entry(network).or_default() += 1;
        }
        taken.pending += 1;
        Ok(Pending { seats: self.clone(), address, _open: self.open.token() })
    }

    fn check(&self, taken: &Taken, user: Option<Uuid>, address: IpAddr) -> Result<(), NoSeat> {
        let most = if user.is_some() { self.most } else { (self.most * SPECTATORS_OF_FOUR).div_ceil(4) };
        let counted = if user.is_some() { taken.all } else { taken.spectators };
        if taken.all >= self.most || counted >= most {
            return Err(NoSeat::Full);
        }
        let of_user =
            user.and_then(|it| taken.by_user.get(&it)).map(|it| ("sockets_per_user", *it, self.per_user));
        let networks = Network::counted(address, self.per_address);
        let of_networks =
            networks.filter_map(|(it, limit)| Some(("sockets_per_ip", *taken.by_network.get(&it)?, limit)));
        for (limit, taken, max) in of_user.into_iter().chain(of_networks) {
            if max > 0 && taken >= max {
                return Err(NoSeat::Taken { limit, max });
            }
        }
        Ok(())
    }
}

impl Pending {
    /// The session is a user's from now on.
    ///
    /// # Errors
    /// There is no seat for the user.
    pub fn log_in(self, user: Uuid) -> Result<Seat, NoSeat> {
        self.seats.take(Some(user), self.address)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        give_back(&mut taken.pending_by_network, Network::household(self.address));
        if let Some(site) = Network::site(self.address) {
            give_back(&mut taken.pending_by_network, site);
        }
        taken.pending -= 1;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        match self.user {
            Some(user) => give_back(&mut taken.by_user, user),
            None => taken.spectators -= 1,
        }
        for (network, _) in Network::counted(self.address, 0) {
            give_back(&mut taken.by_network, network);
        }
        taken.all -= 1;
    }
}

fn give_back<K: Hash + Eq>(taken: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = taken.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            taken.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(most: usize, change: impl FnOnce(&mut config::Config)) -> Arc<Seats> {
        let mut config = config::load([]).unwrap();
        change(&mut config);
        Arc::new(Seats::new(&config.limits, &config.live, most))
    }

    #[test]
    fn a_seat_comes_back_when_its_socket_goes() {
        let seats = seats(5, |it| (it.limits.sockets_per_user, it.limits.sockets_per_ip) = (2, 3));
        let (one, two) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let address = IpAddr::from([127, 0, 0, 1]);
        let held = [seats.take(one, address).unwrap(), seats.take(one, address).unwrap()];
        assert_eq!(
            seats.take(one, address).err(),
            Some(NoSeat::Taken { limit: "sockets_per_user", max: 2 }),
            "the user has two"
        );
        let _third = seats.take(two, address).unwrap();
        assert_eq!(
            seats.take(None, address).err(),
            Some(NoSeat::Taken { limit: "sockets_per_ip", max: 3 }),
            "the address has three"
        );
        let _fourth = seats.take(two, IpAddr::from([127, 0, 0, 2])).unwrap();
        assert_eq!(seats.take(None, IpAddr::from([127, 0, 0, 3])).err(), Some(NoSeat::Full));
        drop(held);
        assert!(seats.pend(address).unwrap().log_in(Uuid::from_u128(1)).is_ok());
    }

    #[test]
    fn who_has_no_login_leaves_seats_to_players() {
        let seats = seats(88, |it| it.limits.sockets_per_ip = 0);
        let from = |it: u8| IpAddr::from([192, 0, 2, it]);
        let spectators: Vec<Seat> = (0..60).map(|it| seats.take(None, from(it)).unwrap()).collect();
        assert_eq!(seats.take(None, from(99)).err(), Some(NoSeat::Full));
        // 8 places before a login, two for an address.
        let pending: Vec<Pending> = (0..8).map(|it| seats.pend(from(it / 2)).unwrap()).collect();
        assert_eq!(seats.pend(from(99)).err(), Some(NoSeat::Full));
        let players: Vec<Seat> = (0..19).map(|_| seats.take(Some(Uuid::nil()), from(1)).unwrap()).collect();
        assert!(pending.into_iter().next().unwrap().log_in(Uuid::nil()).is_ok());
        assert!(seats.pend(from(1)).is_ok(), "the others are gone");
        drop((spectators, players));
        let taken = seats.taken.lock();
        assert_eq!((taken.all, taken.spectators, taken.pending), (0, 0, 0));
        assert!(
            taken.by_network.is_empty() && taken.pending_by_network.is_empty() && taken.by_user.is_empty()
        );
    }

    #[test]
    fn one_network_does_not_have_all_places_before_a_login() {
        let seats = seats(80, |_| ());
        let from = |it: &str| seats.pend(it.parse().unwrap());
        let _held = [from("192.0.2.1").unwrap(), from("192.0.2.1").unwrap()];
        assert_eq!(from("192.0.2.1").err(), Some(NoSeat::Full));
        let _site = [from("2001:db8:1:1::1").unwrap(), from("2001:db8:1:2::1").unwrap()];
        assert_eq!(from("2001:db8:1:3::1").err(), Some(NoSeat::Full));
        assert!(from("2001:db8:2::1").is_ok() && from("192.0.2.2").is_ok());
    }

    #[test]
    fn a_site_of_ipv6_has_eight_households_seats() {
        let seats = seats(80, |it| it.limits.sockets_per_ip = 1);
        let from = |it: u32| seats.take(None, format!("2001:db8:1:{it:x}::1").parse().unwrap());
        let _held: Vec<Seat> = (0..8).map(|it| from(it).unwrap()).collect();
        assert_eq!(from(8).err(), Some(NoSeat::Taken { limit: "sockets_per_ip", max: 8 }));
    }
}
