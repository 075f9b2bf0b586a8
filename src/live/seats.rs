//! The sockets that are open on this node: how many it, a user and an address may have, and when the last one has left.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::config;

/// Files that are left for requests, stores and logs.
const OTHER_FILES: usize = 500;

#[derive(Default)]
struct Taken {
    by_user: HashMap<Uuid, u32>,
    by_address: HashMap<IpAddr, u32>,
    all: usize,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// The user, or the address, has as many as it may have.
    Taken {
        /// So many.
        limit: u32,
    },
    /// The node has no more.
    Full,
}

/// The seats of a node; a limit of 0 is none.
pub struct Seats {
    most: usize,
    per_user: u32,
    per_address: u32,
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

impl Seats {
    /// With the limits of the settings, as many as the process has files for, and so many at the most.
    pub fn new(limits: &config::Limits, most: usize) -> Self {
        let most = most.min(open_files().saturating_sub(OTHER_FILES));
        Self {
            most,
            per_user: limits.sockets_per_user,
            per_address: limits.sockets_per_ip,
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
        if taken.all >= self.most {
            return Err(NoSeat::Full);
        }
        let of_user = user.and_then(|it| taken.by_user.get(&it));
        for (taken, limit) in [(of_user, self.per_user), (taken.by_address.get(&address), self.per_address)] {
            if limit > 0 && taken.is_some_and(|it| *it >= limit) {
                return Err(NoSeat::Taken { limit });
            }
        }
        if let Some(user) = user {
            *taken.by_user.entry(user).or_default() += 1;
        }
        *taken.by_address.entry(address).or_default() += 1;
        taken.all += 1;
        Ok(Seat { seats: self.clone(), user, address, _open: self.open.token() })
    }
}

impl Seat {
    /// The seat of a spectator becomes a user's.
    ///
    /// # Errors
    /// The user has as many as it may have.
    pub fn of(mut self, user: Uuid) -> Result<Self, NoSeat> {
        let limit = self.seats.per_user;
        let mut taken = self.seats.taken.lock();
        let count = taken.by_user.entry(user).or_default();
        if limit > 0 && *count >= limit {
            return Err(NoSeat::Taken { limit });
        }
        *count += 1;
        drop(taken);
        self.user = Some(user);
        Ok(self)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(user) = self.user {
            give_back(&mut taken.by_user, user);
        }
        give_back(&mut taken.by_address, self.address);
        taken.all -= 1;
    }
}

/// How many files the process may have open: as many as the system lets it.
fn open_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |it| it as usize)
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
        let seats = Arc::new(Seats::new(&config.limits, 4));
        let (one, two) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let address = IpAddr::from([127, 0, 0, 1]);
        let held = [seats.take(one, address).unwrap(), seats.take(one, address).unwrap()];
        assert_eq!(seats.take(one, address).err(), Some(NoSeat::Taken { limit: 2 }), "the user has two");
        let _third = seats.take(two, address).unwrap();
        assert_eq!(
            seats.take(None, address).err(),
            Some(NoSeat::Taken { limit: 3 }),
            "the address has three"
        );
        let _fourth = seats.take(two, IpAddr::from([127, 0, 0, 2])).unwrap();
        assert_eq!(seats.take(None, IpAddr::from([127, 0, 0, 3])).err(), Some(NoSeat::Full));
        drop(held);
        assert!(seats.take(None, address).unwrap().of(Uuid::from_u128(1)).is_ok());
    }
}
