//! What an app has of a session.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Guest;
use super::packet::{Message, Wire};
use super::session::Session;
use crate::live::websocket;

/// The app's end of a session.
pub struct Socket {
    /// Who is at the other end.
    pub guest: Guest,
    session: Arc<Session>,
    incoming: mpsc::Receiver<Message>,
}

impl Socket {
    /// The end of a session at which its messages come in.
    pub fn new(guest: Guest, session: Arc<Session>, incoming: mpsc::Receiver<Message>) -> Self {
        Self { guest, session, incoming }
    }

    /// The client's next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        self.incoming.recv().await
    }

    /// Sends.
    pub fn send(&self, wire: Wire) {
        self.session.send(wire);
    }

    /// What carries it, for somebody else to send over.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The WebSocket, as soon as one carries the session and all that was sent has gone out. The session is over then, and
    /// whoever has the socket reads and writes.
    pub fn inherit(&self) -> oneshot::Receiver<websocket::Socket> {
        self.session.inherit()
    }
}
