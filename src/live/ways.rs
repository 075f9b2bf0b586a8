//! The way of a traced award's board to this node's sockets. What is traced is told ahead of the board (`lua/redeem.lua`), which
//! may be held back, and may show several awards at once; so each way is kept until a board of its version or a newer one comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::BOARD_CHANNEL;
use crate::traces::{Span, SpanKind, Traces};

/// Ways that are kept; of what comes beyond, the oldest is forgotten.
const MOST: usize = 64;

/// The newest ways.
#[derive(Debug, Default)]
pub struct Ways {
    ways: Mutex<VecDeque<Way>>,
    /// The newest version among them, so that a board on no way asks for no lock.
    newest: AtomicI64,
}

#[derive(Debug)]
struct Way {
    version: i64,
    /// From the word that a board is on its way until it is there.
    span: Span,
}

impl Ways {
    /// A board is on its way: `version traceparent`.
    pub fn expect(&self, traces: &Traces, text: &str) {
        let Some((version, parent)) = text.split_once(' ') else { return };
        let Ok(version) = version.parse() else { return };
        let mut span = traces.resume(parent, SpanKind::Consumer, "receive board:global");
        span.set("messaging.system", "redis");
        span.set("messaging.operation.name", "receive");
        span.set("messaging.operation.type", "receive");
        span.set("messaging.destination.name", BOARD_CHANNEL);
        let mut ways = self.ways.lock();
        ways.truncate(MOST - 1);
        ways.push_front(Way { version, span });
        self.newest.fetch_max(version, Ordering::Relaxed);
    }

    /// A board is there, and with it whatever is older.
    pub fn arrived(&self, version: i64) {
        self.between(i64::MIN, version, Span::end);
    }

    /// A core's listeners were told of a board; the one they had before was older.
    pub fn told(&self, before: i64, version: i64, took: Duration, listeners: usize) {
        self.between(before, version, |it| {
            let mut span = it.add_past(SpanKind::Internal, "fan out", took);
            span.set("laurel.listeners", listeners as i64);
        });
    }

    fn between(&self, after: i64, to: i64, act: impl Fn(&mut Span)) {
        if self.newest.load(Ordering::Relaxed) <= after.max(0) {
            return;
        }
        let mut ways = self.ways.lock();
        ways.iter_mut().filter(|it| it.version > after && it.version <= to).for_each(|it| act(&mut it.span));
    }
}
