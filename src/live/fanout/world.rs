//! What all listeners of a shard are to be told.

use std::sync::Arc;

use prometheus::IntCounter;

use super::status::StatusFrame;
use crate::live::{Frame, Status};
use crate::metrics::Metrics;

/// The newest of all that everybody is told.
pub struct World {
    /// The newest board.
    pub frame: Arc<Frame>,
    /// Whether Redis is away, ready to be told.
    pub status: StatusFrame,
    /// Which of this shard's boards the newest is, from 1.
    nth: u32,
    skipped: IntCounter,
}

impl World {
    /// The first board.
    pub fn new(frame: Arc<Frame>, status: Status, metrics: &Metrics) -> Self {
        Self {
            frame,
            status: StatusFrame::new(status),
            nth: 1,
            skipped: metrics.board_updates_skipped.clone(),
        }
    }

    /// The board from now on, which may be the same.
    pub fn show(&mut self, frame: Arc<Frame>) {
        if frame.board.version > self.frame.board.version {
            self.nth = self.nth.wrapping_add(1);
        }
        self.frame = frame;
    }

    /// Redis went or came.
    pub fn turn(&mut self, status: Status) {
        self.status = StatusFrame::new(status);
    }

    /// Which board a listener is told, whose last was the `nth`, or none if that is 0. Those between are counted as skipped.
    pub fn tell_after(&self, nth: u32) -> u32 {
        let skipped = self.nth.wrapping_sub(nth).saturating_sub(1);
        if nth > 0 && skipped > 0 {
            self.skipped.inc_by(skipped.into());
        }
        self.nth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Board;

    #[test]
    fn boards_between_two_that_a_listener_was_told_are_counted() {
        let metrics = Metrics::default();
        let frame = |version| Arc::new(Frame::new(Board { version, rows: Vec::new() }));
        let status = Status { degraded: false, as_of_ms: 0 };
        let mut world = World::new(frame(1), status, &metrics);
        let quick = world.tell_after(0);
        let slow = quick;
        world.show(frame(2));
        let quick = world.tell_after(quick);
        world.show(frame(2));
        world.show(frame(3));
        world.tell_after(quick);
        world.tell_after(0);
        assert_eq!(metrics.board_updates_skipped.get(), 0);
        world.tell_after(slow);
        assert_eq!(metrics.board_updates_skipped.get(), 1);
    }
}
