//! Whether a connection is idle, so that the pool may evict it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::task::AtomicWaker;

use crate::network::Network;

/// A request is being answered, or the connection stays busy for good: a stream, a WebSocket.
const BUSY: u8 = 1;
/// The client has not taken all of a response.
const BLOCKED: u8 = 2;
/// The pool does not count it any more; it ends after a request that may have arrived meanwhile.
const EVICTED: u8 = 4;

/// The state of one connection in the pool.
pub struct Slot {
    /// The networks that count it; none for a proxy, which carries many clients.
    pub(super) networks: [Option<Network>; 2],
    /// Start of idle times.
    epoch: Instant,
    /// `BUSY`, `BLOCKED` and `EVICTED`; 0 while it is idle.
    state: AtomicU8,
    pub(super) idle_since_ms: AtomicU64,
    reader: AtomicWaker,
}

impl Slot {
    pub(super) fn new(networks: [Option<Network>; 2], epoch: Instant) -> Self {
        let slot = Self {
            networks,
            epoch,
            state: AtomicU8::new(0),
            idle_since_ms: AtomicU64::new(0),
            reader: AtomicWaker::new(),
        };
        slot.set_idle_time();
        slot
    }

    fn set_idle_time(&self) {
        self.idle_since_ms.store(self.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Since when it is idle, in ms since the pool's epoch; `None` if it is not.
    pub(super) fn idle_since_ms(&self) -> Option<u64> {
        (self.state.load(Ordering::Relaxed) == 0).then(|| self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// Starts a request, which ends when the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> RequestGuard {
        self.state.fetch_or(BUSY, Ordering::AcqRel);
        RequestGuard(Some(self.clone()))
    }

    /// Records whether a response waits for the client.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.set_idle_time();
        if is_blocked {
            self.state.fetch_or(BLOCKED, Ordering::AcqRel);
        } else {
            self.state.fetch_and(!BLOCKED, Ordering::AcqRel);
        }
    }

    /// Evicts it if it is idle, and returns whether it was. A request that arrives at the same time is still answered.
    pub(super) fn evict(&self) -> bool {
        let evicted = self.state.compare_exchange(0, EVICTED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if evicted {
            self.reader.wake();
        }
        evicted
    }

    /// Ends HTTP on it. The waker is dropped because it would keep the HTTP task in memory.
    pub(super) fn leave_http(&self) {
        self.state.fetch_or(BUSY, Ordering::AcqRel);
        self.reader.take();
    }

    /// Whether it was evicted and is idle.
    pub(super) fn must_end(&self) -> bool {
        self.state.load(Ordering::Acquire) == EVICTED
    }

    /// Waits until `must_end`.
    pub fn poll_must_end(&self, context: &Context<'_>) -> Poll<()> {
        self.reader.register(context.waker());
        if self.must_end() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A request that is being answered.
pub struct RequestGuard(Option<Arc<Slot>>);

impl RequestGuard {
    /// Keeps the connection busy for good, for a response that is a stream. `false` if it was evicted and must end after this request:
    /// then the response must not be a stream.
    #[must_use]
    pub fn keep_open(mut self) -> bool {
        let may_stay = self.0.as_ref().is_none_or(|it| it.state.load(Ordering::Acquire) & EVICTED == 0);
        if may_stay {
            self.0 = None;
        }
        may_stay
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.set_idle_time();
            slot.state.fetch_and(!BUSY, Ordering::AcqRel);
        }
    }
}
