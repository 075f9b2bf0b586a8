//! What one connection does at the moment, as far as the pool has to know: whether it may be closed for a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::task::AtomicWaker;

use crate::network::Network;

/// A request is answered, or the connection is no longer between requests for good: a stream, a WebSocket.
const BUSY: u8 = 1;
/// The client has not taken all of an answer.
const BLOCKED: u8 = 2;
/// It counts no more, and ends after the request that may have come meanwhile.
const EVICTED: u8 = 4;

/// One connection's place in the pool.
pub struct Slot {
    /// The networks that count it: none for a proxy, which speaks for many.
    pub(super) networks: [Option<Network>; 2],
    /// From which idle times count.
    epoch: Instant,
    /// `BUSY`, `BLOCKED` and `EVICTED`, or 0 while it is between requests.
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
        slot.idle_from_now();
        slot
    }

    fn idle_from_now(&self) {
        self.idle_since_ms.store(self.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Since when it is between requests, in ms of the pool's time; `None` if it is not.
    pub(super) fn idle_since_ms(&self) -> Option<u64> {
        (self.state.load(Ordering::Relaxed) == 0).then(|| self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// A request begins. It is over when what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.state.fetch_or(BUSY, Ordering::AcqRel);
        Busy(Some(self.clone()))
    }

    /// The client takes an answer slowly, or has taken it.
    pub(super) fn blocked(&self, is_blocked: bool) {
        self.idle_from_now();
        if is_blocked {
            self.state.fetch_or(BLOCKED, Ordering::AcqRel);
        } else {
            self.state.fetch_and(!BLOCKED, Ordering::AcqRel);
        }
    }

    /// Closes it if it is between requests; whether it was. A request that comes at the same moment is still answered.
    pub(super) fn evict(&self) -> bool {
        let evicted = self.state.compare_exchange(0, EVICTED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if evicted {
            self.reader.wake();
        }
        evicted
    }

    /// HTTP is over on it. Its task would else be kept in memory by what would wake it.
    pub(super) fn leave_http(&self) {
        self.state.fetch_or(BUSY, Ordering::AcqRel);
        self.reader.take();
    }

    /// Whether nothing more is to be read, which ends a connection between requests.
    pub(super) fn ends(&self) -> bool {
        self.state.load(Ordering::Acquire) == EVICTED
    }

    /// Waits until the connection has to end.
    pub fn poll_ends(&self, context: &Context<'_>) -> Poll<()> {
        self.reader.register(context.waker());
        if self.ends() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A request that is being answered.
pub struct Busy(Option<Arc<Slot>>);

impl Busy {
    /// The answer goes on after its head, as a stream does: the connection is never between requests again. `false` if it has to end
    /// after this request: then there must be no such answer.
    #[must_use]
    pub fn stay(mut self) -> bool {
        let stays = self.0.as_ref().is_none_or(|it| it.state.load(Ordering::Acquire) & EVICTED == 0);
        if stays {
            self.0 = None;
        }
        stays
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.idle_from_now();
            slot.state.fetch_and(!BUSY, Ordering::AcqRel);
        }
    }
}
