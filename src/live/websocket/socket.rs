//! The reading half of a WebSocket, and the connection for whoever writes.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

/// What a client says is short: pongs, and once a login. The buffer is kept as long as the socket is open.
const READ_BUFFER_BYTES: usize = 256;

/// What a client may say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes a message.
    pub max_message_bytes: usize,
}

/// A WebSocket. Its answers to pings and to a close are handed out, not written: one place writes to a connection.
pub struct Socket {
    stream: Arc<TcpStream>,
    /// Boxed, since a future that waits for a socket holds it more than once.
    context: Box<WebSocketContext>,
}

/// What a socket heard.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// The client went, or said good-bye.
    Gone,
    /// The client broke the protocol; the code to close with (RFC 6455, section 7.4.1).
    Broken(u16),
}

impl Socket {
    /// On a connection from which `read` has been read already.
    pub fn new(stream: TcpStream, read: Bytes, limits: Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_message_bytes))
            .max_frame_size(Some(limits.max_message_bytes));
        // A copy, since what was read stands in the large buffer that HTTP had.
        let context = WebSocketContext::from_partially_read(read.to_vec(), Role::Server, Some(config));
        Self { stream: Arc::new(stream), context: Box::new(context) }
    }

    /// The connection, to write frames to.
    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// What the client says next. What is to be answered at once, a pong or a close, is appended to `replies`. Nothing is
    /// lost if the waiting is given up.
    pub async fn next(&mut self, replies: &mut Vec<u8>) -> Heard {
        loop {
            consume_budget().await;
            let mut half = Half { stream: &self.stream, replies };
            match self.context.read(&mut half) {
                Ok(message) => {
                    // The answer to what was just read. It only goes into memory, so it does not fail.
                    let _ = self.context.flush(&mut half);
                    return Heard::Message(message);
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    if self.readable().await.is_err() {
                        return Heard::Gone;
                    }
                }
                Err(error) => return broken(&error),
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
        let mut bytes = [0; READ_BUFFER_BYTES];
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

fn broken(error: &Error) -> Heard {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Heard::Gone,
        Error::Protocol(_) => Heard::Broken(1002),
        Error::Utf8(_) => Heard::Broken(1007),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Heard::Broken(1009),
        _ => Heard::Gone,
    }
}

/// Reads from the connection, writes into memory.
struct Half<'a> {
    stream: &'a TcpStream,
    replies: &'a mut Vec<u8>,
}

impl Read for Half<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }
}

impl Write for Half<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
