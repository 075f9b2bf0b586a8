//! Boards that clients subscribe to by name. A node follows a board while somebody watches it: it subscribes to the board's channel, and
//! reads the best entries from Redis at each announced change, or once a second.

mod follow;
mod request;
mod watched;

pub use follow::follow_watched;
pub use request::{BoardAction, BoardRequest, BoardViewer, MAX_BOARDS, Reply, handle_request};
pub use watched::{BoardWatch, OwnEntry, TopEntries, WatchedBoard, WatchedBoards};
