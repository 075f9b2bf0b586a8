//! What a worker sends to all its subscribers, and how long one sweep over them takes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::time::Instant;

use super::encoding::{ENCODINGS, Encoding};
use crate::clock::Clock;
use crate::health::Status;
use crate::live::{Board, EncodedBoard, PendingSpans};
use crate::metrics::Metrics;

/// The newest board and status, which every subscriber must have at the end of a sweep.
pub struct Broadcast {
    /// The newest board.
    pub board: Arc<EncodedBoard>,
    /// Whether Redis answers.
    pub status: EncodedStatus,
    /// Number of the newest board among those of this worker, from 1.
    board_number: u32,
    skipped: IntCounter,
}

impl Broadcast {
    /// The first board and status.
    pub fn new(board: Arc<EncodedBoard>, status: Status, metrics: &Metrics) -> Self {
        let skipped = metrics.board_updates_skipped.clone();
        Self { board, status: EncodedStatus::new(status), board_number: 1, skipped }
    }

    /// Replaces the board; the same one again changes nothing.
    pub fn set_board(&mut self, board: Arc<EncodedBoard>) {
        if board.board.version > self.board.board.version {
            self.board_number = self.board_number.wrapping_add(1);
        }
        self.board = board;
    }

    /// Replaces the status.
    pub fn set_status(&mut self, status: Status) {
        self.status = EncodedStatus::new(status);
    }

    /// Counts the board updates that slow subscribers skip.
    pub fn skipped(&self) -> &IntCounter {
        &self.skipped
    }

    /// Returns the newest board's number, and counts the boards between it and `previous` as skipped. 0 means that the subscriber has
    /// no board yet.
    pub fn number_after(&self, previous: u32) -> u32 {
        let skipped = self.board_number.wrapping_sub(previous).saturating_sub(1);
        if previous > 0 && skipped > 0 {
            self.skipped.inc_by(skipped.into());
        }
        self.board_number
    }
}

/// A status with its encodings: each is made once, for the first subscriber that needs it.
pub struct EncodedStatus {
    status: Status,
    events: [OnceLock<Bytes>; ENCODINGS],
}

impl EncodedStatus {
    fn new(status: Status) -> Self {
        Self { status, events: Default::default() }
    }

    /// Whether Redis does not answer.
    pub fn is_degraded(&self) -> bool {
        self.status.degraded
    }

    /// The `status` event, ready to be written.
    pub fn event(&self, encoding: Encoding) -> Bytes {
        self.events[encoding.index()].get_or_init(|| encoding.status(self.status)).clone()
    }
}

/// One sweep over a worker's subscribers.
pub struct Sweep {
    /// Slot of the next subscriber to write to.
    pub next: usize,
    began: Instant,
    /// At the end nobody has an older board.
    board: Arc<Board>,
}

impl Sweep {
    /// Starts a sweep that leaves every subscriber with this board or a newer one.
    pub fn new(board: &Arc<Board>) -> Self {
        Self { next: 0, began: Instant::now(), board: board.clone() }
    }
}

/// Measures sweeps, once per sweep whatever the number of subscribers.
pub struct SweepTimer {
    clock: Clock,
    metrics: Arc<Metrics>,
    pending_spans: Arc<PendingSpans>,
    /// Version of the newest board that was sent.
    sent_version: i64,
}

impl SweepTimer {
    /// A timer before the first sweep.
    pub fn new(clock: Clock, metrics: Arc<Metrics>, pending_spans: Arc<PendingSpans>) -> Self {
        Self { clock, metrics, pending_spans, sent_version: 0 }
    }

    /// Records a finished sweep over `subscribers` subscribers.
    pub fn finish(&mut self, sweep: &Sweep, subscribers: usize) {
        let took = sweep.began.elapsed();
        self.metrics.fanout_seconds.observe(took.as_secs_f64());
        // The first board of a node may be days old, so it does not count as a change.
        let changed = sweep.board.version > self.sent_version && self.sent_version > 0;
        if subscribers > 0 {
            self.pending_spans.add_fanout(self.sent_version, sweep.board.version, took, subscribers);
        }
        if changed && subscribers > 0 {
            self.metrics.delivery_lag(self.clock.now_ms() - sweep.board.changed_at_ms());
        }
        self.sent_version = self.sent_version.max(sweep.board.version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BoardId;

    #[test]
    fn boards_between_two_sent_ones_count_as_skipped() {
        let metrics = Metrics::default();
        let board =
            |version| Arc::new(EncodedBoard::new(Board { id: BoardId::GLOBAL, version, rows: Vec::new() }));
        let status = Status { degraded: false, as_of_ms: 0 };
        let mut broadcast = Broadcast::new(board(1), status, &metrics);
        let quick = broadcast.number_after(0);
        let slow = quick;
        broadcast.set_board(board(2));
        let quick = broadcast.number_after(quick);
        broadcast.set_board(board(2));
        broadcast.set_board(board(3));
        broadcast.number_after(quick);
        broadcast.number_after(0);
        assert_eq!(metrics.board_updates_skipped.get(), 0);
        broadcast.number_after(slow);
        assert_eq!(metrics.board_updates_skipped.get(), 1);
    }

    #[test]
    fn delivery_lag_is_observed_once_per_change_that_a_subscriber_got() {
        let (clock, metrics) = (Clock::default(), Arc::new(Metrics::default()));
        let mut timer = SweepTimer::new(clock.clone(), metrics.clone(), Arc::default());
        let board = |ago_ms: i64| {
            Arc::new(Board {
                id: BoardId::GLOBAL,
                version: (clock.now_ms() - ago_ms) * 1000,
                rows: Vec::new(),
            })
        };
        timer.finish(&Sweep::new(&board(86_400_000)), 1);
        assert_eq!(metrics.delivery_lag_seconds.get_sample_count(), 0, "the first board is no change");
        let changed = board(2000);
        timer.finish(&Sweep::new(&changed), 1);
        timer.finish(&Sweep::new(&changed), 1);
        timer.finish(&Sweep::new(&board(1000)), 0);
        assert_eq!(metrics.delivery_lag_seconds.get_sample_count(), 1);
        assert!((2.0..60.0).contains(&metrics.delivery_lag_seconds.get_sample_sum()));
        assert_eq!(metrics.fanout_seconds.get_sample_count(), 4);
    }
}
