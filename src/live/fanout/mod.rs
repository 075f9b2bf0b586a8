//! Who listens on this node, whichever way: a WebSocket, Socket.IO or server-sent events. Listeners are dealt out to shards,
//! one for each core; a shard writes to its listeners by itself, so that a change of the board costs each of them that reads
//! one system call: no lock, no allocation, no task that has to wake up. It knows what each protocol's words look like, and nothing of
//! how a client came to listen.

mod dialect;
mod end;
mod listener;
mod order;
mod pass;
mod shard;
mod sink;
mod status;
mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use uuid::Uuid;

pub use dialect::{DIALECTS, Dialect, Protocol};
pub use end::End;
pub use listener::Newcomer;
pub use order::Ticket;
pub use shard::run;
pub use sink::Sink;

use crate::store::PersonalNews;
use order::Order;

/// The ends of what a fan-out is told, for the tasks that do it.
pub struct Inboxes {
    /// A shard's orders, shard by shard.
    pub orders: Vec<UnboundedReceiver<Order>>,
    /// Users whose channel should be looked at: subscribed if somebody here follows them, left if not.
    pub turned: UnboundedReceiver<Uuid>,
}

/// All listeners of a node.
pub struct Fanout {
    shards: Vec<UnboundedSender<Order>>,
    next: AtomicUsize,
    followed: Arc<Followed>,
}

/// The users who have a listener here, with how many.
pub struct Followed {
    counts: Mutex<HashMap<Uuid, u32>>,
    turned: UnboundedSender<Uuid>,
}

impl Fanout {
    /// A fan-out with a shard for each core, and what its tasks need.
    pub fn new() -> (Self, Inboxes) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (shards, orders) = (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        let (turn, turned) = mpsc::unbounded_channel();
        let followed = Arc::new(Followed { counts: Mutex::default(), turned: turn });
        (Self { shards, next: AtomicUsize::new(0), followed }, Inboxes { orders, turned })
    }

    /// Takes a listener in. It is greeted, told the present board, and from then on whatever is new. `None` if the node ends.
    pub async fn join(&self, newcomer: Newcomer) -> Option<Ticket> {
        let shard = &self.shards[self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len()];
        let (reply, ticket) = oneshot::channel();
        shard.send(Order::Join(Box::new(newcomer), shard.clone(), reply)).ok()?;
        ticket.await.ok()
    }

    /// Tells a user's listeners.
    pub fn tell(&self, user: Uuid, news: PersonalNews) {
        self.order(|| Order::Tell(user, news));
    }

    /// Ends a user's listeners.
    pub fn ban(&self, user: Uuid) {
        self.order(|| Order::Ban(user));
    }

    fn order(&self, make: impl Fn() -> Order) {
        for shard in &self.shards {
            // A shard only ends with the node.
            let _ = shard.send(make());
        }
    }

    /// Who is followed here.
    pub fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }
}

impl Followed {
    /// Whether anybody here listens for a user.
    pub fn has(&self, user: Uuid) -> bool {
        self.counts.lock().contains_key(&user)
    }

    /// Everybody who is followed here.
    pub fn all(&self) -> Vec<Uuid> {
        self.counts.lock().keys().copied().collect()
    }

    fn come(&self, user: Uuid) {
        let mut counts = self.counts.lock();
        let count = counts.entry(user).or_default();
        *count += 1;
        if *count == 1 {
            let _ = self.turned.send(user);
        }
    }

    fn go(&self, user: Uuid) {
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&user) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&user);
            let _ = self.turned.send(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_channel_is_wanted_from_the_first_listener_to_the_last() {
        let (fanout, mut inboxes) = Fanout::new();
        let (followed, user) = (fanout.followed(), Uuid::from_u128(1));
        followed.come(user);
        followed.come(user);
        assert_eq!(inboxes.turned.try_recv(), Ok(user));
        followed.go(user);
        assert!(followed.has(user) && inboxes.turned.try_recv().is_err());
        followed.go(user);
        assert!(!followed.has(user) && followed.all().is_empty());
        assert_eq!(inboxes.turned.try_recv(), Ok(user));
    }
}
