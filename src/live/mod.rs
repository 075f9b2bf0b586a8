//! The board on every screen: what this node knows of it, and the sockets it tells. It never asks Redis for a client, and
//! never tells a client an older board after a newer one.

mod board;
pub mod engineio;
mod follow;
mod frame;
mod health;
mod hub;
mod seats;
pub mod socketio;
mod websocket;

pub use board::{Board, Row};
pub use follow::{flush_forever, follow_board, follow_users, look, look_forever};
pub use frame::{Frame, rows};
pub use health::{Health, Status};
pub use hub::Hub;
pub use seats::{Seat, Seats};
pub use socketio::engine as scoreboard_engine;
pub use websocket::serve as serve_websocket;
