//! Counts of the boards that a worker's clients receive.

use hdrhistogram::Histogram;

use super::messages::Report;
use super::now_us;

pub struct Deliveries {
    /// Clients with a connection and a first board.
    pub open: usize,
    /// The newest version that a client has, how many have it, and how late the last of them got it.
    pub newest: u64,
    pub newest_count: usize,
    pub newest_last_us: u64,
    /// If wanted: scores of top players, each once for each client that sees it.
    pub top_scores: Option<Vec<u64>>,
    /// Boards after the first one, and the microseconds from their change to a client.
    count: u64,
    times: Histogram<u64>,
    violations: u64,
    refused: u64,
}

impl Deliveries {
    pub fn new() -> Self {
        Self {
            open: 0,
            newest: 0,
            newest_count: 0,
            newest_last_us: 0,
            top_scores: None,
            count: 0,
            times: Histogram::new(3).unwrap(),
            violations: 0,
            refused: 0,
        }
    }

    /// A client received a board. It must be newer than the one before.
    pub fn add(&mut self, before: u64, version: u64) {
        let late_us = now_us().saturating_sub(version);
        self.count += 1;
        self.times.record(late_us).unwrap();
        self.violations += u64::from(version <= before);
        if version > self.newest {
            self.newest_last_us = 0;
        }
        if version >= self.newest {
            self.newest_last_us = self.newest_last_us.max(late_us);
        }
        self.count_newest(before, version);
    }

    /// A client received the first board of its connection.
    pub fn add_first(&mut self, version: u64) {
        self.open += 1;
        self.count_newest(0, version);
    }

    fn count_newest(&mut self, before: u64, version: u64) {
        if version > self.newest {
            (self.newest, self.newest_count) = (version, 0);
        }
        self.newest_count += usize::from(version == self.newest && before < version);
    }

    /// A handshake was refused.
    pub fn add_refused(&mut self) {
        self.refused += 1;
    }

    /// The counts since the last report.
    pub fn report(&mut self) -> Report {
        let times =
            self.times.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()));
        let report = Report {
            deliveries: self.count,
            violations: self.violations,
            refused: self.refused,
            times: times.collect(),
        };
        (self.count, self.violations, self.refused) = (0, 0, 0);
        self.times.reset();
        report
    }
}
