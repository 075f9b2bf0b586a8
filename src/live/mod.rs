//! The board on every screen: what this node knows of it, and the sockets it tells. It never asks Redis for a client, and
//! never tells a client an older board after a newer one.

mod board;
pub mod engineio;
mod events;
mod eviction;
mod fanout;
mod follow;
mod frame;
mod handshakes;
mod health;
mod hub;
mod join;
mod listen;
mod pace;
mod plain;
mod seats;
pub mod socketio;
mod ways;
pub mod websocket;

pub use board::{Board, Row};
pub use events::serve as serve_events;
pub use eviction::{EVICTION_EVERY, watch_eviction_forever};
pub use fanout::{Dialect, End, Fanout, Inboxes, Protocol, run as fan_out};
pub use follow::{flush_forever, follow_board, follow_users, look_forever, poll};
pub use frame::{Frame, numbered_rows, rows};
pub use handshakes::Handshakes;
pub use health::{Health, Status};
pub use hub::Hub;
pub use listen::MAX_FRAMES;
pub use plain::serve as serve_plain;
pub use seats::{NoSeat, Pending, Seat, Seats};
pub use socketio::engine as scoreboard_engine;
pub use ways::Ways;
