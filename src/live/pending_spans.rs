//! Spans of traced awards whose board has not been sent to this node's subscribers yet.
//!
//! `lua/redeem.lua` publishes the trace context before the board. The board may be held back by the throttle, and may contain several
//! awards, so a span stays pending until a board of its version or a newer one is sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::{BoardId, board_channel};
use crate::traces::{Span, SpanKind, Traces};

/// Most pending spans; beyond it the oldest is dropped.
const MAX_PENDING: usize = 64;

/// The newest pending spans.
#[derive(Debug, Default)]
pub struct PendingSpans {
    spans: Mutex<VecDeque<PendingSpan>>,
    /// The newest version among them, so that a board without a span takes no lock.
    newest_version: AtomicI64,
}

#[derive(Debug)]
struct PendingSpan {
    version: i64,
    /// From the arrival of the trace context to that of the board.
    span: Span,
}

impl PendingSpans {
    /// Starts a span for a board to come, from the message `version traceparent`.
    pub fn start(&self, traces: &Traces, message: &str) {
        let Some((version, parent)) = message.split_once(' ') else { return };
        let Ok(version) = version.parse() else { return };
        let mut span = traces.resume(parent, SpanKind::Consumer, "receive board:global");
        span.set("messaging.system", "redis");
        span.set("messaging.operation.name", "receive");
        span.set("messaging.operation.type", "receive");
        span.set("messaging.destination.name", board_channel(BoardId::GLOBAL));
        let mut spans = self.spans.lock();
        spans.truncate(MAX_PENDING - 1);
        spans.push_front(PendingSpan { version, span });
        self.newest_version.fetch_max(version, Ordering::Relaxed);
    }

    /// Ends the spans of boards up to this version.
    pub fn end(&self, version: i64) {
        self.for_versions(i64::MIN, version, Span::end);
    }

    /// Adds a child span for a sweep that replaced `previous` by `version` at a worker's subscribers.
    pub fn add_fanout(&self, previous: i64, version: i64, took: Duration, subscribers: usize) {
        self.for_versions(previous, version, |span| {
            let mut child = span.add_past(SpanKind::Internal, "fan out", took);
            child.set("laurel.subscribers", subscribers as i64);
        });
    }

    fn for_versions(&self, after: i64, to: i64, act: impl Fn(&mut Span)) {
        if self.newest_version.load(Ordering::Relaxed) <= after.max(0) {
            return;
        }
        let mut spans = self.spans.lock();
        spans.iter_mut().filter(|it| it.version > after && it.version <= to).for_each(|it| act(&mut it.span));
    }
}
