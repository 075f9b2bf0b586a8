//! What a worker's clients met with, counted as it happens.

use hdrhistogram::Histogram;

use super::now_us;
use super::orders::Report;

pub struct Tally {
    /// Clients that hold a connection and its first board.
    pub open: usize,
    /// The newest version that a client has, how many have it, and how late the last of them had it.
    pub newest: u64,
    pub have: usize,
    pub newest_last_us: u64,
    /// When the last client that had lost its connection had a board again.
    pub last_back_us: u64,
    /// For who wants them: leaders' scores, each as often as a client saw it first.
    pub leading: Option<Vec<u64>>,
    /// Boards that were pushed, and the microseconds from their change to a client.
    deliveries: u64,
    times: Histogram<u64>,
    violations: u64,
    refused: u64,
    /// Milliseconds from a lost connection to the next one's first board.
    away: Histogram<u64>,
    /// Connections lost, second by second since a moment.
    closed: Vec<u64>,
    closed_from_us: u64,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            open: 0,
            newest: 0,
            have: 0,
            newest_last_us: 0,
            last_back_us: 0,
            leading: None,
            deliveries: 0,
            times: Histogram::new(3).unwrap(),
            violations: 0,
            refused: 0,
            away: Histogram::new(3).unwrap(),
            closed: Vec::new(),
            closed_from_us: 0,
        }
    }

    /// A client was told a board that is newer than the last it had.
    pub fn pushed(&mut self, before: u64, version: u64) {
        let late_us = now_us().saturating_sub(version);
        self.deliveries += 1;
        self.times.record(late_us).unwrap();
        self.violations += u64::from(version <= before);
        if version > self.newest {
            self.newest_last_us = 0;
        }
        if version >= self.newest {
            self.newest_last_us = self.newest_last_us.max(late_us);
        }
        self.holds(before, version);
    }

    /// A connection's first board. It may be the one that the client had before, and none older.
    pub fn opened(&mut self, before: u64, version: u64, lost_at_us: Option<u64>) {
        self.open += 1;
        self.violations += u64::from(version < before);
        self.holds(before, version);
        if let Some(lost_at_us) = lost_at_us {
            self.last_back_us = now_us();
            self.away.record((self.last_back_us - lost_at_us) / 1000).unwrap();
        }
    }

    fn holds(&mut self, before: u64, version: u64) {
        if version > self.newest {
            (self.newest, self.have) = (version, 0);
        }
        self.have += usize::from(version == self.newest && before < version);
    }

    /// An open connection was lost.
    pub fn lost(&mut self, at_us: u64) {
        self.open -= 1;
        let second = (at_us.saturating_sub(self.closed_from_us) / 1_000_000) as usize;
        self.closed.resize(self.closed.len().max(second + 1), 0);
        self.closed[second] += 1;
    }

    /// A handshake was refused.
    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// From when on the seconds of lost connections count.
    pub fn count_closed_from(&mut self, hlc_us: u64) {
        self.closed_from_us = hlc_us;
        self.closed.clear();
    }

    /// What was counted since the last report.
    pub fn report(&mut self) -> Report {
        let report = Report {
            deliveries: self.deliveries,
            violations: self.violations,
            refused: self.refused,
            times: counts(&self.times),
            away: counts(&self.away),
            closed: std::mem::take(&mut self.closed),
        };
        (self.deliveries, self.violations, self.refused) = (0, 0, 0);
        self.times.reset();
        self.away.reset();
        report
    }
}

fn counts(times: &Histogram<u64>) -> Vec<(u64, u64)> {
    times.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect()
}
