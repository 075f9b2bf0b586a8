//! One pass over a shard's listeners: each is written to what is new, in their order; and how long that took.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::live::{Board, Ways};
use crate::metrics::Metrics;

/// A pass that is under way.
pub struct Pass {
    /// The next listener to be written to.
    pub next: usize,
    began: Instant,
    /// At the pass' end nobody has an older board.
    board: Arc<Board>,
}

impl Pass {
    /// It begins, and will leave everybody with this board or a newer one.
    pub fn of(board: &Arc<Board>) -> Self {
        Self { next: 0, began: Instant::now(), board: board.clone() }
    }
}

/// Times passes, once each, however many listeners there are.
pub struct Timing {
    clock: Clock,
    metrics: Arc<Metrics>,
    ways: Arc<Ways>,
    /// The newest board's version among those that were told.
    told: i64,
}

impl Timing {
    /// Nothing was told yet.
    pub fn new(clock: Clock, metrics: Arc<Metrics>, ways: Arc<Ways>) -> Self {
        Self { clock, metrics, ways, told: 0 }
    }

    /// A pass over so many listeners is over.
    pub fn done(&mut self, pass: &Pass, listeners: usize) {
        let took = pass.began.elapsed();
        self.metrics.fanout_seconds.observe(took.as_secs_f64());
        // The first board that a node learns may have stood for days.
        let changed = pass.board.version > self.told && self.told > 0;
        if listeners > 0 {
            self.ways.told(self.told, pass.board.version, took, listeners);
        }
        if changed && listeners > 0 {
            self.metrics.delivery_lag(self.clock.now_ms() - pass.board.changed_at_ms());
        }
        self.told = self.told.max(pass.board.version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_timed_once_and_only_if_somebody_saw_it() {
        let (clock, metrics) = (Clock::default(), Arc::new(Metrics::default()));
        let mut timing = Timing::new(clock.clone(), metrics.clone(), Arc::default());
        let board =
            |ago_ms: i64| Arc::new(Board { version: (clock.now_ms() - ago_ms) * 1000, rows: Vec::new() });
        timing.done(&Pass::of(&board(86_400_000)), 1);
        assert_eq!(metrics.delivery_lag_seconds.get_sample_count(), 0, "as old as the node found it");
        let changed = board(2000);
        timing.done(&Pass::of(&changed), 1);
        timing.done(&Pass::of(&changed), 1);
        timing.done(&Pass::of(&board(1000)), 0);
        assert_eq!(metrics.delivery_lag_seconds.get_sample_count(), 1);
        assert!((2.0..60.0).contains(&metrics.delivery_lag_seconds.get_sample_sum()));
        assert_eq!(metrics.fanout_seconds.get_sample_count(), 4);
    }
}
