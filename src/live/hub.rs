//! What this node knows of the board and of its users' news. No queue anywhere: each follower holds one slot with the
//! newest state, so a slow one skips, and memory is bounded by the number of sockets.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use super::{Board, Frame};
use crate::store::PersonalNews;

/// What a user's sockets are told: the newest award, or that it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The newest award.
    pub award: Option<PersonalNews>,
    /// The user is banned: the sockets close.
    pub banned: bool,
}

/// The node's hub.
pub struct Hub {
    /// The newest board that this node has heard of in any way: what reads are answered with.
    newest: ArcSwap<Frame>,
    /// The newest board that was published: what sockets are told, paced by the publication window.
    published: watch::Sender<Arc<Frame>>,
    news: Mutex<HashMap<Uuid, watch::Sender<News>>>,
    /// Users whose channel should be looked at: subscribed if somebody here follows them, left if not.
    turned: mpsc::UnboundedSender<Uuid>,
    flush_wanted: Notify,
}

impl Hub {
    /// An empty hub, and the users whose following changes from now on.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Uuid>) {
        let (turned, turns) = mpsc::unbounded_channel();
        let empty = Arc::new(Frame::default());
        let hub = Self {
            newest: ArcSwap::new(empty.clone()),
            published: watch::Sender::new(empty),
            news: Mutex::default(),
            turned,
            flush_wanted: Notify::new(),
        };
        (hub, turns)
    }

    /// The newest board.
    pub fn newest(&self) -> Arc<Board> {
        self.newest.load().board.clone()
    }

    /// The newest board with its encodings.
    pub fn newest_frame(&self) -> Arc<Frame> {
        self.newest.load_full()
    }

    /// Takes a board that an award's answer brought; reads show it at once, sockets when it is published.
    pub fn learn(&self, board: &Arc<Board>) {
        self.offer(&Arc::new(Frame::new(board.clone())));
    }

    /// Takes a published board. Older ones are dropped: here is the gate that keeps every client from going back.
    pub fn publish(&self, board: Board) {
        let frame = Arc::new(Frame::new(Arc::new(board)));
        self.offer(&frame);
        self.published.send_if_modified(|known| {
            let newer = frame.board.version > known.board.version;
            if newer {
                *known = frame;
            }
            newer
        });
    }

    fn offer(&self, frame: &Arc<Frame>) {
        self.newest.rcu(|known| {
            if frame.board.version > known.board.version { frame.clone() } else { known.clone() }
        });
    }

    /// Follows the published boards; the present one counts as not seen yet.
    pub fn follow_board(&self) -> watch::Receiver<Arc<Frame>> {
        let mut receiver = self.published.subscribe();
        receiver.mark_changed();
        receiver
    }

    /// Follows one user's news.
    pub fn follow_user(self: &Arc<Self>, user: Uuid) -> Following {
        let mut news = self.news.lock();
        let sender = news.entry(user).or_insert_with(|| {
            // The channel's task ends with the node; nobody is left to be told then.
            let _ = self.turned.send(user);
            watch::Sender::new(News::default())
        });
        Following { hub: self.clone(), user, news: sender.subscribe() }
    }

    /// Whether anybody here follows a user.
    pub fn is_followed(&self, user: Uuid) -> bool {
        self.news.lock().contains_key(&user)
    }

    /// Everybody who is followed here.
    pub fn followed(&self) -> Vec<Uuid> {
        self.news.lock().keys().copied().collect()
    }

    /// Takes a user's news, unless newer ones are known.
    pub fn tell_user(&self, user: Uuid, news: PersonalNews) {
        if let Some(sender) = self.news.lock().get(&user) {
            sender.send_if_modified(|known| {
                let newer = known.award.is_none_or(|it| it.moment < news.moment);
                if newer {
                    known.award = Some(news);
                }
                newer
            });
        }
    }

    /// Closes a user's sockets.
    pub fn ban_user(&self, user: Uuid) {
        if let Some(sender) = self.news.lock().get(&user) {
            sender.send_if_modified(|known| !std::mem::replace(&mut known.banned, true));
        }
    }

    /// A board waits for the publication window to pass.
    pub fn flush_later(&self) {
        self.flush_wanted.notify_one();
    }

    /// Waits until a flush is wanted.
    pub async fn flush_wanted(&self) {
        self.flush_wanted.notified().await;
    }
}

/// One socket that follows its user's news. The last one to go leaves the user's channel.
pub struct Following {
    hub: Arc<Hub>,
    user: Uuid,
    /// The newest news.
    pub news: watch::Receiver<News>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut news = self.hub.news.lock();
        if news.get(&self.user).is_some_and(|sender| sender.receiver_count() <= 1) {
            news.remove(&self.user);
            let _ = self.hub.turned.send(self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(version: i64) -> Board {
        Board { version, rows: Vec::new() }
    }

    #[test]
    fn an_older_board_never_follows_a_newer_one() {
        let (hub, _turns) = Hub::new();
        let mut follower = hub.follow_board();
        hub.publish(board(5));
        assert_eq!(follower.borrow_and_update().board.version, 5);
        hub.publish(board(4));
        assert!(!follower.has_changed().unwrap());
        hub.learn(&Arc::new(board(6)));
        assert_eq!(hub.newest().version, 6);
        assert!(!follower.has_changed().unwrap(), "sockets wait for the publication");
        hub.learn(&Arc::new(board(3)));
        assert_eq!(hub.newest().version, 6);
    }

    #[test]
    fn a_users_channel_is_wanted_from_the_first_socket_to_the_last() {
        let (hub, mut turns) = Hub::new();
        let (hub, user) = (Arc::new(hub), Uuid::from_u128(1));
        let first = hub.follow_user(user);
        let second = hub.follow_user(user);
        assert_eq!(turns.try_recv(), Ok(user));
        drop(first);
        assert!(hub.is_followed(user) && turns.try_recv().is_err());
        drop(second);
        assert!(!hub.is_followed(user));
        assert_eq!(turns.try_recv(), Ok(user));
    }
}
