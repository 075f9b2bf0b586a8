//! The reading half of a WebSocket, and its connection for the task that writes.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::Message;

use super::reader::Reader;
use crate::connections::Connection;

/// Clients send little: pongs, and one login.
const READ_BYTES: usize = 512;

/// Limits of a client's messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Bytes per message.
    pub max_message_bytes: usize,
    /// Frames per message.
    pub max_frames: usize,
    /// Whether messages may be compressed.
    pub compression: bool,
}

/// A WebSocket. Answers to pings and close frames are returned, not written: only one task writes to a connection.
pub struct WebSocket {
    stream: Arc<Connection>,
    reader: Reader,
    compressed: bool,
}

/// The outcome of a read.
#[derive(Debug)]
pub enum ReadOutcome {
    /// A message.
    Message(Message),
    /// The client closed the connection.
    Disconnected,
    /// The client broke the protocol; the code to close with (RFC 6455, section 7.4.1).
    ProtocolError(u16),
}

impl WebSocket {
    /// A WebSocket on a connection from which `read` has been read already.
    pub fn new(stream: Connection, read: &[u8], limits: MessageLimits) -> Self {
        Self { stream: Arc::new(stream), reader: Reader::new(read, limits), compressed: limits.compression }
    }

    /// The connection, to write frames to.
    pub fn stream(&self) -> &Arc<Connection> {
        &self.stream
    }

    /// Whether the client accepts compressed messages.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Reads the next message. Answers to send at once, a pong or a close, are appended to `replies`. Cancel safe.
    pub async fn next(&mut self, replies: &mut Vec<u8>) -> ReadOutcome {
        loop {
            consume_budget().await;
            match self.reader.next(replies) {
                Ok(Some(message)) => return ReadOutcome::Message(message),
                Ok(None) => {}
                Err(code) => return ReadOutcome::ProtocolError(code),
            }
            let buffer = self.reader.buffer();
            if buffer.capacity() == buffer.len() {
                buffer.reserve(READ_BYTES);
            }
            match self.stream.try_read_buf(buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.reader.shrink();
                    if self.readable().await.is_err() {
                        return ReadOutcome::Disconnected;
                    }
                }
                _ => return ReadOutcome::Disconnected,
            }
        }
    }

    /// Waits until the connection is readable. `poll_read_ready` replaces the waker of the finished HTTP task, which would otherwise keep
    /// that task in memory as long as the socket.
    async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.stream.poll_read_ready(context)).await
    }

    /// Reads and drops everything until the client closes the connection, or it is shut down.
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

    /// Writes a whole frame; no other task may write meanwhile.
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
