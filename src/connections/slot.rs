//! What one connection does at the moment, as far as the pool has to know: whether it may be closed for a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::task::AtomicWaker;

use crate::network::Network;

/// One connection's place in the pool. All of it is a hint that is right a moment later, so no order of memory is asked for.
pub struct Slot {
    /// The networks that count it: none for a proxy, which speaks for many.
    pub(super) networks: [Option<Network>; 2],
    /// From which idle times count.
    epoch: Instant,
    /// A request is answered, or the connection is no longer between requests for good: a stream, a WebSocket.
    is_busy: AtomicBool,
    /// The client has not taken all of an answer.
    is_blocked: AtomicBool,
    pub(super) idle_since_ms: AtomicU64,
    is_evicted: AtomicBool,
    reader: AtomicWaker,
}

impl Slot {
    pub(super) fn new(networks: [Option<Network>; 2], epoch: Instant) -> Self {
        let slot = Self {
            networks,
            epoch,
            is_busy: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            idle_since_ms: AtomicU64::new(0),
            is_evicted: AtomicBool::new(false),
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
        let waits = !self.is_busy.load(Ordering::Relaxed) && !self.is_blocked.load(Ordering::Relaxed);
        waits.then(|| self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// A request begins. It is over when what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.is_busy.store(true, Ordering::Relaxed);
        Busy(Some(self.clone()))
    }

    /// The client takes an answer slowly, or has taken it.
    pub(super) fn blocked(&self, is_blocked: bool) {
        self.idle_from_now();
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Closes it, unless a request has just come: then after that one.
    pub(super) fn evict(&self) {
        self.is_evicted.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// HTTP is over on it. Its task would else be kept in memory by what would wake it.
    pub(super) fn leave_http(&self) {
        self.is_busy.store(true, Ordering::Relaxed);
        self.reader.take();
    }

    /// Whether nothing more is to be read, which ends a connection between requests.
    pub(super) fn ends(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire) && !self.is_busy.load(Ordering::Relaxed)
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
    /// The answer goes on after its head, as a stream does: the connection is never between requests again.
    pub fn stay(mut self) {
        self.0 = None;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.idle_from_now();
            slot.is_busy.store(false, Ordering::Relaxed);
        }
    }
}
