//! The reading half of a WebSocket, and the connection for whoever writes.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::Message;

use super::reader::{Reader, Said};
use crate::connections::Connection;

/// What a client says is short: pongs, and once a login.
const READ_BYTES: usize = 512;

/// What a client may say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes a message.
    pub max_message_bytes: usize,
    /// Frames a message.
    pub max_frames: usize,
    /// Whether it may pack its messages.
    pub packed: bool,
}

/// A WebSocket. Its answers to pings and to a close are handed out, not written: one place writes to a connection.
pub struct Socket {
    stream: Arc<Connection>,
    reader: Reader,
    packed: bool,
}

/// What a socket heard.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// The client went.
    Gone,
    /// The client broke the protocol; the code to close with (RFC 6455, section 7.4.1).
    Broken(u16),
}

impl Socket {
    /// On a connection from which `read` has been read already.
    pub fn new(stream: Connection, read: &[u8], limits: Limits) -> Self {
        Self { stream: Arc::new(stream), reader: Reader::new(read, limits), packed: limits.packed }
    }

    /// The connection, to write frames to.
    pub fn stream(&self) -> &Arc<Connection> {
        &self.stream
    }

    /// Whether the client takes packed messages.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// What the client says next. What is to be answered at once, a pong or a close, is appended to `replies`. Nothing is
    /// lost if the waiting is given up.
    pub async fn next(&mut self, replies: &mut Vec<u8>) -> Heard {
        loop {
            consume_budget().await;
            match self.reader.next(replies) {
                Ok(Said::Message(message)) => return Heard::Message(message),
                Ok(Said::Unfinished) => {}
                Err(code) => return Heard::Broken(code),
            }
            let buffer = self.reader.buffer();
            if buffer.capacity() == buffer.len() {
                buffer.reserve(READ_BYTES);
            }
            match self.stream.try_read_buf(buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.reader.rest();
                    if self.readable().await.is_err() {
                        return Heard::Gone;
                    }
                }
                _ => return Heard::Gone,
            }
        }
    }

    /// The connection remembers whom to wake. Waiting in this way takes the place of the task that spoke HTTP on it, which is
    /// over but would otherwise be kept in memory as long as the socket.
    async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.stream.poll_read_ready(context)).await
    }

    /// Throws away what the client says until it is gone, or the connection was shut down.
    pub async fn discard(self) {
        let mut bytes = [0; READ_BYTES];
        while self.readable().await.is_ok() {
            consume_budget().await;
            match self.stream.try_read(&mut bytes) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }

    /// Writes a frame to its end, where nobody else writes.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn write(&self, mut frame: &[u8]) -> io::Result<()> {
        while !frame.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(frame) {
                Ok(written) => frame = &frame[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
