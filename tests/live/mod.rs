//! `/api/v1/ws` on real sockets.

mod client;
mod fanout;
mod handshake;
mod lost;

pub use client::Client;
