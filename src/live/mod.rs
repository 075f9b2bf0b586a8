//! Real time: this node's copy of the board, and the subscribers it sends changes to.
//!
//! Redis is never asked per subscriber, and no subscriber gets an older board after a newer one.

mod board;
mod connection_limits;
mod encoded_board;
pub mod engineio;
mod fanout;
mod follow;
mod health;
mod hub;
mod pending_spans;
pub mod socketio;
mod subscribe;
pub mod websocket;

pub use board::{Board, Row};
pub use connection_limits::{ConnectionLimits, ConnectionPermit, HandshakeQueue, LimitError, PendingPermit};
pub use encoded_board::{EncodedBoard, numbered_rows, rows};
pub use fanout::{CloseReason, Encoding, Fanout, Inboxes, Protocol, run as run_fanout_worker};
pub use follow::{
    EVICTION_CHECK_INTERVAL, flush_forever, follow_board, follow_users, poll, poll_forever,
    watch_eviction_forever,
};
pub use health::{Health, Status};
pub use hub::Hub;
pub use pending_spans::PendingSpans;
pub use socketio::scoreboard_engine;
pub use subscribe::{MAX_FRAMES, serve_events, serve_websocket};
