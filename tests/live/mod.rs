//! `/api/v1/ws`, Socket.IO and server-sent events on real sockets.

pub mod client;
pub mod clients;
mod engineio;
mod events;
mod fanout;
mod handshake;
mod lost;
mod newest;
mod pending;
mod protocols;
mod slow;
pub mod socketio;
mod upgrade;

pub use client::Client;
