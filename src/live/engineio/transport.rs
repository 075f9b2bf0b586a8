//! What carries a session, and what the session has it do.

use tokio::sync::oneshot;

use super::packet::Wire;
use crate::live::websocket;

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Long polling.
    Polling,
    /// Long polling, while a WebSocket is being tried.
    Probing,
    /// A WebSocket.
    WebSocket,
}

/// What a WebSocket is to do for its session.
pub enum Task {
    /// Write these.
    Write(Vec<Wire>),
    /// Give itself away; nothing is sent over the session from here on.
    Leave(oneshot::Sender<websocket::Socket>),
    /// Close: all has gone out.
    Close,
}
