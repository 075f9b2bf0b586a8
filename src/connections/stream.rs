//! A connection that counts, and ends where its client takes an answer too slowly.

use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::{Permit, Slot};

/// An answer that waits for its client is taken at this rate at least, on the average since it began to wait. The slowest phone
/// networks (GPRS) have twice that.
const MIN_BYTES_PER_SECOND: u64 = 1024;
/// A TCP connection with its place in the pool. What is written over HTTP has a least rate; what takes the connection over, as a
/// WebSocket does, writes to the TCP stream itself and has time-outs of its own.
pub struct Connection {
    // Closed before its place is given back: fields are dropped in order.
    tcp: TcpStream,
    permit: Option<Permit>,
    waiting: Option<Box<Waiting>>,
}

/// An answer that the client has not taken whole.
struct Waiting {
    began: Instant,
    taken_bytes: u64,
    ends: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(tcp: TcpStream, permit: Option<Permit>) -> Self {
        Self { tcp, permit, waiting: None }
    }

    /// What the pool knows of it, if it is of one.
    pub fn slot(&self) -> Option<&Arc<Slot>> {
        self.permit.as_ref().map(|it| &it.slot)
    }

    /// HTTP is over: whatever took the connection over keeps its place, and nobody closes it for a new one.
    pub fn leave_http(&self) {
        if let Some(slot) = self.slot() {
            slot.leave_http();
        }
    }

    /// The outcome of a write: one that has to wait ends the connection if the client has been too slow.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_pending() {
            ready!(self.poll_too_slow(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let (Poll::Ready(Ok(count)), Some(waiting)) = (&outcome, &mut self.waiting) {
            waiting.taken_bytes += *count as u64;
        }
        outcome
    }

    /// A client that takes nothing at all, as one that has its window closed, is woken up for by the timer alone.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(permit) = &self.permit else { return Poll::Pending };
        let grace = permit.pool.write_timeout;
        let waiting = self.waiting.get_or_insert_with(|| {
            permit.slot.blocked(true);
            Box::new(Waiting { began: Instant::now(), taken_bytes: 0, ends: Box::pin(sleep(grace)) })
        });
        let ends = waiting.began + grace + Duration::from_secs(waiting.taken_bytes / MIN_BYTES_PER_SECOND);
        if ends != waiting.ends.deadline() {
            waiting.ends.as_mut().reset(ends);
        }
        ready!(waiting.ends.as_mut().poll(context));
        permit.too_slow();
        Poll::Ready(())
    }
}

/// A connection that no pool counts.
impl From<TcpStream> for Connection {
    fn from(tcp: TcpStream) -> Self {
        Self::new(tcp, None)
    }
}

/// For who has taken it over from HTTP.
impl Deref for Connection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.tcp
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if outcome.is_pending() && self.slot().is_some_and(|it| it.poll_ends(context).is_ready()) {
            // Nothing was read, which HTTP takes for the client's end.
            return Poll::Ready(Ok(()));
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, pieces);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// HTTP calls it when all that it had was taken.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.take().is_some()
            && let Some(slot) = self.slot()
        {
            slot.blocked(false);
        }
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
