//! A TCP connection of a pool, which ends if its client reads a response too slowly.

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

/// Minimum average rate at which a client must read a stalled response. The slowest phone networks (GPRS) have twice that.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// A TCP connection. HTTP responses have a minimum rate; a WebSocket writes to the TCP stream directly, and has timeouts of its own.
pub struct Connection {
    // Closed before the permit is returned: fields are dropped in order.
    tcp: TcpStream,
    permit: Option<Permit>,
    stalled: Option<Box<StalledResponse>>,
}

/// A response that the client has not read whole.
struct StalledResponse {
    since: Instant,
    read_bytes: u64,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(tcp: TcpStream, permit: Option<Permit>) -> Self {
        Self { tcp, permit, stalled: None }
    }

    /// Its state in the pool; `None` without a pool.
    pub fn slot(&self) -> Option<&Arc<Slot>> {
        self.permit.as_ref().map(|permit| &permit.slot)
    }

    /// Ends HTTP on it: the pool counts it as before, and does not evict it.
    pub fn leave_http(&self) {
        if let Some(slot) = self.slot() {
            slot.leave_http();
        }
    }

    /// Checks the outcome of a write: a pending one fails if the client has been too slow.
    fn check_write(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_pending() {
            ready!(self.poll_too_slow(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let (Poll::Ready(Ok(count)), Some(stalled)) = (&outcome, &mut self.stalled) {
            stalled.read_bytes += *count as u64;
        }
        outcome
    }

    /// The timer also wakes the task of a client that reads nothing at all.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(permit) = &self.permit else { return Poll::Pending };
        let grace = permit.pool.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| {
            permit.slot.set_blocked(true);
            Box::new(StalledResponse {
                since: Instant::now(),
                read_bytes: 0,
                deadline: Box::pin(sleep(grace)),
            })
        });
        let deadline = stalled.since + grace + Duration::from_secs(stalled.read_bytes / MIN_BYTES_PER_SECOND);
        if deadline != stalled.deadline.deadline() {
            stalled.deadline.as_mut().reset(deadline);
        }
        ready!(stalled.deadline.as_mut().poll(context));
        permit.count_slow();
        Poll::Ready(())
    }
}

/// A connection without a pool.
impl From<TcpStream> for Connection {
    fn from(tcp: TcpStream) -> Self {
        Self::new(tcp, None)
    }
}

/// For code that has taken it over from HTTP.
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
        if outcome.is_pending() && self.slot().is_some_and(|it| it.poll_must_end(context).is_ready()) {
            // Zero bytes: HTTP sees the end of the stream.
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
        self.check_write(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, pieces);
        self.check_write(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// HTTP calls this when the socket has taken all of a response.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stalled.take().is_some()
            && let Some(slot) = self.slot()
        {
            slot.set_blocked(false);
        }
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
