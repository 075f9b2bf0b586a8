//! One pass over a shard's listeners: each is written to what is new, in their order; and how long that took.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::live::Board;
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
    /// The newest board's version among those that were told.
    told: i64,
}

impl Timing {
    /// Nothing was told yet.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics, told: 0 }
    }

    /// A pass is over; `heard` if anybody listens.
    pub fn done(&mut self, pass: &Pass, heard: bool) {
        self.metrics.fanout_seconds.observe(pass.began.elapsed().as_secs_f64());
        // The first board that a node learns may have stood for days.
        let changed = pass.board.version > self.told && self.told > 0;
        if changed && heard {
            self.metrics.screen_lag(self.clock.now_ms() - pass.board.changed_at_ms());
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
        let mut timing = Timing::new(clock.clone(), metrics.clone());
        let board =
            |ago_ms: i64| Arc::new(Board { version: (clock.now_ms() - ago_ms) * 1000, rows: Vec::new() });
        timing.done(&Pass::of(&board(86_400_000)), true);
        assert_eq!(metrics.screen_lag_seconds.get_sample_count(), 0, "as old as the node found it");
        let changed = board(2000);
        timing.done(&Pass::of(&changed), true);
        timing.done(&Pass::of(&changed), true);
        timing.done(&Pass::of(&board(1000)), false);
        assert_eq!(metrics.screen_lag_seconds.get_sample_count(), 1);
        assert!((2.0..60.0).contains(&metrics.screen_lag_seconds.get_sample_sum()));
        assert_eq!(metrics.fanout_seconds.get_sample_count(), 4);
    }
}
