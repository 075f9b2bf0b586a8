//! The board on every screen: what this node knows of it, and the sockets it tells. It never asks Redis for a client, and
//! never tells a client an older board after a newer one.

mod board;
mod follow;
mod frame;
mod health;
mod hub;
mod seats;
mod websocket;

pub use board::{Board, Row};
pub use follow::{flush_forever, follow_board, follow_users, look_forever};
pub use frame::{Frame, rows};
pub use health::{Health, Status};
pub use hub::Hub;
pub use seats::{Seat, Seats};
pub use websocket::serve as serve_websocket;
