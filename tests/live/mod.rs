//! `/api/v1/ws` on real sockets.

pub mod client;
mod engineio;
mod fanout;
mod handshake;
mod lost;
pub mod socketio;

pub use client::Client;
