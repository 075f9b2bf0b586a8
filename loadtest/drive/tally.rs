//! Counts of the requests: by kind, and by second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::flow::Step;

/// Longer times count as this one.
const LONGEST_US: u64 = 120_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Instead of a status: the connection was lost, or no response came in time.
pub const LOST: u16 = 0;
pub const UNANSWERED: u16 = 1;

/// The name of a status among the errors.
pub fn error_name(status: u16) -> String {
    match status {
        LOST => "connection lost".to_owned(),
        UNANSWERED => "no response".to_owned(),
        status => status.to_string(),
    }
}

/// A histogram of microseconds with its final size, so that counting never allocates.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap()
}

/// One kind of request.
pub struct Kind {
    pub step: Step,
    /// Microseconds to successful responses.
    pub times: Histogram<u64>,
    /// All other responses, by status.
    pub errors: BTreeMap<u16, u64>,
}

impl Kind {
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The counts of one second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Second {
    /// Successful responses.
    pub responses: u64,
    pub errors: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    /// How late the generator sent requests, p99.
    pub late_p99_ms: f64,
}

pub struct Tally {
    pub kinds: Vec<Kind>,
    /// From a request's due time until the generator sent it: the crowded machine's part, not the server's.
    pub late: Histogram<u64>,
    pub seconds: Vec<Second>,
    /// Nanoseconds from the first request to the last response.
    pub took_ns: u64,
    second_times: Histogram<u64>,
    second_late: Histogram<u64>,
    second_errors: u64,
    second_ends_ns: u64,
}

impl Tally {
    pub fn new() -> Self {
        let kind = |step| Kind { step, times: histogram(), errors: BTreeMap::new() };
        Self {
            kinds: Step::ALL.map(kind).into(),
            late: histogram(),
            seconds: Vec::new(),
            took_ns: 0,
            second_times: histogram(),
            second_late: histogram(),
            second_errors: 0,
            second_ends_ns: SECOND_NS,
        }
    }

    pub fn succeeded(&mut self, step: Step, took_ns: u64) {
        let took_us = (took_ns / 1000).max(1);
        self.kinds[step as usize].times.saturating_record(took_us);
        self.second_times.saturating_record(took_us);
    }

    /// Counts any other end of a request.
    pub fn failed(&mut self, step: Step, status: u16) {
        *self.kinds[step as usize].errors.entry(status).or_default() += 1;
        self.second_errors += 1;
    }

    pub fn late(&mut self, late_ns: u64) {
        let late_us = (late_ns / 1000).max(1);
        self.late.saturating_record(late_us);
        self.second_late.saturating_record(late_us);
    }

    /// Closes the second and returns its counts, if it is over.
    pub fn tick(&mut self, now_ns: u64) -> Option<Second> {
        if now_ns < self.second_ends_ns {
            return None;
        }
        let ms = |quantile| self.second_times.value_at_quantile(quantile) as f64 / 1000.0;
        let second = Second {
            responses: self.second_times.len(),
            errors: self.second_errors,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
            late_p99_ms: self.second_late.value_at_quantile(0.99) as f64 / 1000.0,
        };
        self.seconds.push(second);
        self.second_times.reset();
        self.second_late.reset();
        (self.second_errors, self.second_ends_ns) = (0, self.second_ends_ns + SECOND_NS);
        Some(second)
    }

    pub fn second_ends_ns(&self) -> u64 {
        self.second_ends_ns
    }

    /// Acknowledged awards.
    pub fn awards(&self) -> u64 {
        self.kinds.iter().filter(|kind| kind.step.is_award()).map(|kind| kind.times.len()).sum()
    }

    /// The times of all kinds.
    pub fn times(&self) -> Histogram<u64> {
        let mut times = histogram();
        self.kinds.iter().for_each(|kind| times.add(&kind.times).unwrap());
        times
    }
}
