//! What a shard is told, and the ticket of each listener.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Dialect, End, Newcomer, Sink};
use crate::store::PersonalNews;

/// An order to a shard. A listener is named by its place there.
pub enum Order {
    /// Take a listener in, and give out its ticket, which needs a way back here.
    Join(Box<Newcomer>, UnboundedSender<Order>, oneshot::Sender<Ticket>),
    /// Write elsewhere from now on.
    Move(usize, Sink, Dialect),
    /// Write this too.
    Say(usize, Bytes),
    /// The client lives.
    Heard(usize),
    /// Close, for a reason.
    End(usize, End),
    /// The listener is gone.
    Leave(usize),
    /// A user has news.
    Tell(Uuid, PersonalNews),
    /// A user is banned.
    Ban(Uuid),
}

/// What a listener's door holds. Dropping it takes the listener out.
pub struct Ticket {
    place: usize,
    shard: UnboundedSender<Order>,
}

impl Ticket {
    /// For the listener at a place of a shard.
    pub(super) fn new(place: usize, shard: UnboundedSender<Order>) -> Self {
        Self { place, shard }
    }

    /// Writes bytes of the protocol's own, such as a pong.
    pub fn say(&self, bytes: impl Into<Bytes>) {
        self.order(Order::Say(self.place, bytes.into()));
    }

    /// The client has shown that it lives.
    pub fn heard(&self) {
        self.order(Order::Heard(self.place));
    }

    /// The client is told elsewhere from now on.
    pub fn move_to(&self, sink: Sink, dialect: Dialect) {
        self.order(Order::Move(self.place, sink, dialect));
    }

    /// Closes the connection.
    pub fn end(&self, why: End) {
        self.order(Order::End(self.place, why));
    }

    fn order(&self, order: Order) {
        // A shard only ends with the node.
        let _ = self.shard.send(order);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.order(Order::Leave(self.place));
    }
}
