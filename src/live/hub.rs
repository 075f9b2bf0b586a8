//! The newest board on this node, and the newest one that was published.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{Board, EncodedBoard};

/// A node's boards.
pub struct Hub {
    /// The newest board from any source: reads return it.
    newest: ArcSwap<EncodedBoard>,
    /// The newest published board: subscribers get it. Publications are throttled, so it may be older.
    published: watch::Sender<Arc<EncodedBoard>>,
    flush_requested: Notify,
}

impl Default for Hub {
    fn default() -> Self {
        let empty = Arc::new(EncodedBoard::default());
        Self {
            newest: ArcSwap::new(empty.clone()),
            published: watch::Sender::new(empty),
            flush_requested: Notify::new(),
        }
    }
}

impl Hub {
    /// The newest board.
    pub fn newest(&self) -> Arc<Board> {
        self.newest.load().board.clone()
    }

    /// The newest board with its encodings.
    pub fn newest_encoded(&self) -> Arc<EncodedBoard> {
        self.newest.load_full()
    }

    /// Takes a board from an award's reply or a poll, if it is newer. Reads return it at once, subscribers get it when it is published.
    pub fn learn(&self, board: &Arc<EncodedBoard>) {
        self.newest.rcu(|known| {
            if board.board.version > known.board.version { board.clone() } else { known.clone() }
        });
    }

    /// Takes a published board, if it is newer. This check keeps every client from seeing an older board after a newer one.
    pub fn publish(&self, board: Board) {
        let board = Arc::new(EncodedBoard::new(board));
        self.learn(&board);
        self.published.send_if_modified(|known| {
            let is_newer = board.board.version > known.board.version;
            if is_newer {
                *known = board;
            }
            is_newer
        });
    }

    /// Follows the published boards; the current one counts as unseen.
    pub fn follow_board(&self) -> watch::Receiver<Arc<EncodedBoard>> {
        let mut receiver = self.published.subscribe();
        receiver.mark_changed();
        receiver
    }

    /// Requests a flush: a board was held back by the publication throttle.
    pub fn request_flush(&self) {
        self.flush_requested.notify_one();
    }

    /// Waits for a request to flush.
    pub async fn flush_requested(&self) {
        self.flush_requested.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BoardId;

    fn board(version: i64) -> Board {
        Board { id: BoardId::GLOBAL, version, rows: Vec::new() }
    }

    fn encoded(version: i64) -> Arc<EncodedBoard> {
        Arc::new(EncodedBoard::new(board(version)))
    }

    #[test]
    fn an_older_board_never_follows_a_newer_one() {
        let hub = Hub::default();
        let mut follower = hub.follow_board();
        hub.publish(board(5));
        assert_eq!(follower.borrow_and_update().board.version, 5);
        hub.publish(board(4));
        assert!(!follower.has_changed().unwrap());
        hub.learn(&encoded(6));
        assert_eq!(hub.newest().version, 6);
        assert!(!follower.has_changed().unwrap(), "subscribers wait for the publication");
        hub.learn(&encoded(3));
        assert_eq!(hub.newest().version, 6);
    }
}
