//! Real time: this node's copy of the board, and the subscribers it sends changes to.
//!
//! Redis is never queried per subscriber, and no subscriber gets an older board after a newer one.

mod board;
mod boards;
mod connection_limits;
mod encoded_board;
pub mod engineio;
mod fanout;
mod follow;
mod hub;
mod pending_spans;
pub mod socketio;
mod subscribe;
pub mod websocket;

pub use board::{Board, Row};
pub use boards::{BoardViewer, MAX_BOARDS, TopEntries, follow_watched};
pub use connection_limits::{ConnectionLimits, ConnectionPermit, HandshakeQueue, LimitError, PendingPermit};
pub use encoded_board::{EncodedBoard, numbered_rows, rows};
pub use fanout::{CloseReason, Encoding, Fanout, Inboxes, Protocol, run as run_fanout_worker};
pub use follow::{
    EVICTION_CHECK_INTERVAL, flush_forever, follow_board, follow_users, poll, poll_forever,
    watch_eviction_forever,
};
pub use hub::Hub;
pub use pending_spans::PendingSpans;
pub use socketio::scoreboard_engine;
pub use subscribe::{MAX_FRAMES, serve_events, serve_websocket};

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::account::Accounts;
use crate::clock::Clock;
use crate::config::Config;
use crate::entries::Entries;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::traces::Traces;

/// What the tasks and the protocols of live updates work with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Live {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub health: Arc<Health>,
    pub accounts: Arc<Accounts>,
    pub entries: Arc<Entries>,
    pub hub: Arc<Hub>,
    pub pending_spans: Arc<PendingSpans>,
    pub fanout: Fanout,
    pub connection_limits: Arc<ConnectionLimits>,
    pub handshakes: HandshakeQueue,
    /// `None` if tracing is off.
    pub traces: Option<Arc<Traces>>,
    /// Canceled when the node begins to stop.
    pub draining: CancellationToken,
}
