//! `/api/v1/ws`, Socket.IO and server-sent events on real sockets.

mod admission;
pub mod client;
pub mod clients;
mod engineio;
mod events;
mod fanout;
mod handshake;
mod lost_messages;
mod newest_board;
mod pending_logins;
mod slow_clients;
pub mod socketio;
mod upgrade;

pub use client::Client;
