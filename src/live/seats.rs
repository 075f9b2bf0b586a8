//! The sockets that are open on this node: how many a user and an address may have, and when the last one has left.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::config;

#[derive(Default)]
struct Taken {
    by_user: HashMap<Uuid, u32>,
    by_address: HashMap<IpAddr, u32>,
}

/// The seats of a node; a limit of 0 is none.
pub struct Seats {
    per_user: u32,
    per_address: u32,
    taken: Mutex<Taken>,
    open: TaskTracker,
}

/// One open socket; dropping it gives the seat back.
pub struct Seat {
    seats: Arc<Seats>,
    user: Uuid,
    address: IpAddr,
    _open: TaskTrackerToken,
}

impl Seats {
    /// With the limits of the settings.
    pub fn new(limits: &config::Limits) -> Self {
        Self {
            per_user: limits.sockets_per_user,
            per_address: limits.sockets_per_ip,
            taken: Mutex::default(),
            open: TaskTracker::new(),
        }
    }

    /// Waits until the last socket has left. No seats are given out by then: the node drains.
    pub async fn all_left(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// A seat, if there is one left.
    pub fn take(self: &Arc<Self>, user: Uuid, address: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock();
        let free = |taken: Option<&u32>, limit: u32| limit == 0 || taken.copied().unwrap_or(0) < limit;
        if !free(taken.by_user.get(&user), self.per_user)
            || !free(taken.by_address.get(&address), self.per_address)
        {
            return None;
        }
        *taken.by_user.entry(user).or_default() += 1;
        *taken.by_address.entry(address).or_default() += 1;
        Some(Seat { seats: self.clone(), user, address, _open: self.open.token() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        give_back(&mut taken.by_user, self.user);
        give_back(&mut taken.by_address, self.address);
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

    #[test]
    fn a_seat_comes_back_when_its_socket_goes() {
        let mut config = crate::config::load([]).unwrap();
        config.limits.sockets_per_user = 2;
        config.limits.sockets_per_ip = 3;
        let seats = Arc::new(Seats::new(&config.limits));
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let address = IpAddr::from([127, 0, 0, 1]);
        let held = [seats.take(one, address), seats.take(one, address)];
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(one, address).is_none(), "the user has two");
        let third = seats.take(two, address);
        assert!(third.is_some() && seats.take(two, address).is_none(), "the address has three");
        drop(held);
        assert!(seats.take(one, address).is_some());
    }
}
