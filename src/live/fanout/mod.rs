//! Sends board changes, personal updates and status changes to the subscribers of this node, over WebSocket, Socket.IO and
//! server-sent events.
//!
//! Subscribers are spread over one worker per core. A worker owns its subscribers and writes to them itself, so a board change costs
//! one system call per subscriber that keeps up: no lock, no allocation, no task to wake.

mod broadcast;
mod encoding;
mod subscriber;
mod watch;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use uuid::Uuid;

pub use encoding::{CloseReason, ENCODINGS, Encoding, Protocol};
pub use subscriber::{NewSubscriber, Sink};
pub use worker::run;

use super::boards::{BoardViewer, BoardWatch, OwnEntry, WatchedBoard, WatchedBoards};
use crate::metrics::Metrics;
use crate::store::PersonalUpdate;

/// The receiving ends of a fan-out, for the tasks behind it.
pub struct Inboxes {
    /// One per worker.
    pub commands: Vec<UnboundedReceiver<WorkerCommand>>,
    /// Users whose first subscriber came or whose last one left: check `Followed` and subscribe to or leave their channel.
    pub follow_changes: UnboundedReceiver<Uuid>,
    /// Boards whose first watcher came or whose last one left.
    pub watch_changes: UnboundedReceiver<Arc<WatchedBoard>>,
}

/// A command to a worker. `usize` is a subscriber's slot there.
pub enum WorkerCommand {
    /// Add a subscriber. The sender is this worker's own, for the handle that goes to the reply channel.
    Subscribe(Box<NewSubscriber>, UnboundedSender<WorkerCommand>, oneshot::Sender<SubscriberHandle>),
    /// Write to another sink from now on.
    Move(usize, Sink, Encoding),
    /// Write bytes of the protocol itself, such as a pong.
    Send(usize, Bytes),
    /// The client showed that it is alive.
    MarkAlive(usize),
    /// Close the connection.
    Close(usize, CloseReason),
    /// Drop the subscriber.
    Unsubscribe(usize),
    /// Send a personal update to a user's subscribers.
    Notify(Uuid, PersonalUpdate),
    /// Close a banned user's subscribers.
    Ban(Uuid),
    /// Send a board's newest state from now on.
    Watch(usize, BoardWatch),
    /// Send the board of this address no more.
    Unwatch(usize, String),
    /// Send a board's newest state to its watchers.
    BoardChanged(Arc<WatchedBoard>),
    /// Send a user's own entry to those of the user's subscribers that watch the board.
    NotifyEntry(Uuid, Arc<WatchedBoard>, Arc<OwnEntry>),
}

/// Controls one subscriber from the task that reads from its client. Dropping it drops the subscriber.
pub struct SubscriberHandle {
    slot: usize,
    worker: UnboundedSender<WorkerCommand>,
    /// Its client, as far as the boards that it may see depend on it.
    pub viewer: BoardViewer,
    /// Addresses of the boards that it watches.
    watched: Vec<String>,
}

impl SubscriberHandle {
    /// Writes bytes of the protocol itself, such as a pong.
    pub fn send(&self, bytes: impl Into<Bytes>) {
        self.command(WorkerCommand::Send(self.slot, bytes.into()));
    }

    /// Records that the client is alive.
    pub fn mark_alive(&self) {
        self.command(WorkerCommand::MarkAlive(self.slot));
    }

    /// Moves the subscriber to another sink.
    pub fn move_to(&self, sink: Sink, encoding: Encoding) {
        self.command(WorkerCommand::Move(self.slot, sink, encoding));
    }

    /// Closes the connection.
    pub fn close(&self, reason: CloseReason) {
        self.command(WorkerCommand::Close(self.slot, reason));
    }

    /// The number of boards that it watches.
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// Whether it watches a board.
    pub fn watches(&self, address: &str) -> bool {
        self.watched.iter().any(|watched| watched == address)
    }

    /// Watches a board that it does not watch yet.
    pub fn watch(&mut self, watch: BoardWatch) {
        self.watched.push(watch.board().address.clone());
        self.command(WorkerCommand::Watch(self.slot, watch));
    }

    /// Watches a board no more. False if it does not watch it.
    pub fn unwatch(&mut self, address: &str) -> bool {
        let Some(index) = self.watched.iter().position(|watched| watched == address) else { return false };
        let address = self.watched.swap_remove(index);
        self.command(WorkerCommand::Unwatch(self.slot, address));
        true
    }

    fn command(&self, command: WorkerCommand) {
        // A worker ends only with the node.
        let _ = self.worker.send(command);
    }
}

impl Drop for SubscriberHandle {
    fn drop(&mut self) {
        self.command(WorkerCommand::Unsubscribe(self.slot));
    }
}

/// All subscribers of a node.
pub struct Fanout {
    workers: Vec<UnboundedSender<WorkerCommand>>,
    next: AtomicUsize,
    followed: Arc<Followed>,
    watched: WatchedBoards,
}

impl Fanout {
    /// A fan-out with one worker per core, and the receiving ends for its tasks. Its node follows at most
    /// `max_split_boards` boards of single tag values.
    pub fn new(max_split_boards: usize, metrics: Arc<Metrics>) -> (Self, Inboxes) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (workers, commands) = (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        let (changes, follow_changes) = mpsc::unbounded_channel();
        let followed = Arc::new(Followed { counts: Mutex::default(), changes });
        let (changes, watch_changes) = mpsc::unbounded_channel();
        let watched = WatchedBoards::new(max_split_boards, metrics, changes);
        let inboxes = Inboxes { commands, follow_changes, watch_changes };
        (Self { workers, next: AtomicUsize::new(0), followed, watched }, inboxes)
    }

    /// Adds a subscriber: it gets a greeting, the current board, then every change. `None` if the node is stopping.
    pub async fn subscribe(&self, subscriber: NewSubscriber) -> Option<SubscriberHandle> {
        let worker = &self.workers[self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len()];
        let (reply, handle) = oneshot::channel();
        worker.send(WorkerCommand::Subscribe(Box::new(subscriber), worker.clone(), reply)).ok()?;
        handle.await.ok()
    }

    /// Sends a personal update to a user's subscribers.
    pub fn notify(&self, user: Uuid, update: PersonalUpdate) {
        self.command_all(|| WorkerCommand::Notify(user, update));
    }

    /// Closes a banned user's subscribers.
    pub fn ban(&self, user: Uuid) {
        self.command_all(|| WorkerCommand::Ban(user));
    }

    /// Sends a board's newest state to its watchers.
    pub fn board_changed(&self, board: &Arc<WatchedBoard>) {
        self.command_all(|| WorkerCommand::BoardChanged(board.clone()));
    }

    /// Sends a user's own entry to those of the user's subscribers that watch the board.
    pub fn notify_entry(&self, user: Uuid, board: &Arc<WatchedBoard>, entry: &Arc<OwnEntry>) {
        self.command_all(|| WorkerCommand::NotifyEntry(user, board.clone(), entry.clone()));
    }

    fn command_all(&self, command: impl Fn() -> WorkerCommand) {
        for worker in &self.workers {
            // A worker ends only with the node.
            let _ = worker.send(command());
        }
    }

    /// Boards that subscribers of this node watch by name.
    pub fn watched(&self) -> &WatchedBoards {
        &self.watched
    }

    /// Users with a subscriber on this node.
    pub fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }
}

/// Users with a subscriber on this node, with the number of their subscribers.
pub struct Followed {
    counts: Mutex<HashMap<Uuid, u32>>,
    changes: UnboundedSender<Uuid>,
}

impl Followed {
    /// Whether a user has a subscriber on this node.
    pub fn contains(&self, user: Uuid) -> bool {
        self.counts.lock().contains_key(&user)
    }

    /// All users with a subscriber on this node.
    pub fn all(&self) -> Vec<Uuid> {
        self.counts.lock().keys().copied().collect()
    }

    fn add(&self, user: Uuid) {
        let mut counts = self.counts.lock();
        let count = counts.entry(user).or_default();
        *count += 1;
        if *count == 1 {
            let _ = self.changes.send(user);
        }
    }

    fn remove(&self, user: Uuid) {
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&user) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&user);
            let _ = self.changes.send(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_followed_from_the_first_subscriber_to_the_last() {
        let (fanout, mut inboxes) = Fanout::new(1, Arc::default());
        let (followed, user) = (fanout.followed(), Uuid::from_u128(1));
        followed.add(user);
        followed.add(user);
        assert_eq!(inboxes.follow_changes.try_recv(), Ok(user));
        followed.remove(user);
        assert!(followed.contains(user) && inboxes.follow_changes.try_recv().is_err());
        followed.remove(user);
        assert!(!followed.contains(user) && followed.all().is_empty());
        assert_eq!(inboxes.follow_changes.try_recv(), Ok(user));
    }
}
