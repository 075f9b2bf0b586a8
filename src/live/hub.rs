//! What this node knows of the board: the newest of all that it heard of, and the newest that was published.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{Board, Frame};

/// The node's hub.
pub struct Hub {
    /// The newest board that this node has heard of in any way: what reads are answered with.
    newest: ArcSwap<Frame>,
    /// The newest board that was published: what sockets are told, paced by the publication window.
    published: watch::Sender<Arc<Frame>>,
    flush_wanted: Notify,
}

impl Default for Hub {
    fn default() -> Self {
        let empty = Arc::new(Frame::default());
        Self {
            newest: ArcSwap::new(empty.clone()),
            published: watch::Sender::new(empty),
            flush_wanted: Notify::new(),
        }
    }
}

impl Hub {
    /// The newest board.
    pub fn newest(&self) -> Arc<Board> {
        self.newest.load().board.clone()
    }

    /// The newest board with its encodings.
    pub fn newest_frame(&self) -> Arc<Frame> {
        self.newest.load_full()
    }

    /// Takes a board that an award's answer or a look brought; reads show it at once, sockets when it is published.
    pub fn learn(&self, frame: &Arc<Frame>) {
        self.newest.rcu(|known| {
            if frame.board.version > known.board.version { frame.clone() } else { known.clone() }
        });
    }

    /// Takes a published board. Older ones are dropped: here is the gate that keeps every client from going back.
    pub fn publish(&self, board: Board) {
        let frame = Arc::new(Frame::new(board));
        self.learn(&frame);
        self.published.send_if_modified(|known| {
            let newer = frame.board.version > known.board.version;
            if newer {
                *known = frame;
            }
            newer
        });
    }

    /// Follows the published boards; the present one counts as not seen yet.
    pub fn follow_board(&self) -> watch::Receiver<Arc<Frame>> {
        let mut receiver = self.published.subscribe();
        receiver.mark_changed();
        receiver
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

#[cfg(test)]
mod tests {
    use super::*;

    fn board(version: i64) -> Board {
        Board { version, rows: Vec::new() }
    }

    fn frame(version: i64) -> Arc<Frame> {
        Arc::new(Frame::new(board(version)))
    }

    #[test]
    fn an_older_board_never_follows_a_newer_one() {
        let hub = Hub::default();
        let mut follower = hub.follow_board();
        hub.publish(board(5));
        assert_eq!(follower.borrow_and_update().board.version, 5);
        hub.publish(board(4));
        assert!(!follower.has_changed().unwrap());
        hub.learn(&frame(6));
        assert_eq!(hub.newest().version, 6);
        assert!(!follower.has_changed().unwrap(), "sockets wait for the publication");
        hub.learn(&frame(3));
        assert_eq!(hub.newest().version, 6);
    }
}
