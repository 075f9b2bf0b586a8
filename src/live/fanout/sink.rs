//! Where a listener's bytes go. Writing never waits.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::Arc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::sync::mpsc;

use crate::connections::Connection;
use crate::live::engineio::{Session, Wire};

/// One client's end.
#[derive(Clone)]
pub enum Sink {
    /// A TCP connection that was a WebSocket's handshake.
    Socket(Arc<Connection>),
    /// The body of an HTTP answer; the channel has room for one piece.
    Body(mpsc::Sender<Bytes>),
    /// A Socket.IO session over long polling.
    Session(Arc<Session>),
    /// A TCP connection that we have said all over; the client closes it.
    Finished(Arc<Connection>),
    /// It was closed.
    Closed,
}

/// What became of some bytes.
pub enum Written {
    /// So many were taken.
    Some(usize),
    /// None: the client has not read what came before.
    Blocked,
    /// The client is gone, or is told elsewhere.
    Gone,
}

impl Sink {
    /// Writes what can be written.
    pub fn write(&self, bytes: &Bytes) -> Written {
        match self {
            Self::Socket(stream) => match stream.try_write(bytes) {
                Ok(count) => Written::Some(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Written::Blocked,
                Err(_) => Written::Gone,
            },
            Self::Body(pieces) => match pieces.try_send(bytes.clone()) {
                Ok(()) => Written::Some(bytes.len()),
                Err(mpsc::error::TrySendError::Full(_)) => Written::Blocked,
                Err(mpsc::error::TrySendError::Closed(_)) => Written::Gone,
            },
            Self::Session(session) => {
                let packet = bytes.clone().try_into().map(Wire::Text);
                match packet.ok().and_then(|it| session.offer(it)) {
                    Some(true) => Written::Some(bytes.len()),
                    Some(false) => Written::Blocked,
                    None => Written::Gone,
                }
            }
            Self::Finished(_) | Self::Closed => Written::Gone,
        }
    }

    /// Waits until more can be written, or nothing can any more.
    pub async fn free(self) {
        match self {
            Self::Socket(stream) => drop(stream.writable().await),
            Self::Body(pieces) => drop(pieces.reserve().await),
            Self::Session(session) => session.idle().await,
            Self::Finished(_) | Self::Closed => {}
        }
    }

    /// Says that all was written. The client closes the rest of a socket, or the deadline does.
    pub fn finish(&mut self) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Socket(stream) => {
                let _ = SockRef::from(&**stream.as_ref()).shutdown(Shutdown::Write);
                Self::Finished(stream)
            }
            Self::Session(session) => {
                session.close();
                Self::Closed
            }
            Self::Finished(stream) => Self::Finished(stream),
            Self::Body(_) | Self::Closed => Self::Closed,
        };
    }

    /// Ends it, whatever is still to be written. Whoever waits for it is woken. A body that HTTP still writes ends when the
    /// client reads on, or the kernel gives it up.
    pub fn abort(&mut self) {
        match self {
            Self::Socket(stream) | Self::Finished(stream) => {
                drop(SockRef::from(&**stream.as_ref()).shutdown(Shutdown::Both))
            }
            Self::Session(session) => session.close(),
            Self::Body(_) | Self::Closed => {}
        }
        *self = Self::Closed;
    }
}
