//! What came of the requests, counted as it happens: by kind, and second by second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::step::Step;

/// The longest time that is told from longer ones.
const LONGEST_US: u64 = 120_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// In the place of a status: the connection ended, or no answer came in time.
pub const LOST: u16 = 0;
pub const UNANSWERED: u16 = 1;

/// What an error is called.
pub fn error_name(status: u16) -> String {
    match status {
        LOST => "connection lost".to_owned(),
        UNANSWERED => "not answered".to_owned(),
        status => status.to_string(),
    }
}

/// A histogram of microseconds, as large as it will ever be, so that counting never allocates.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap()
}

/// One kind of request.
pub struct Kind {
    pub step: Step,
    /// Microseconds to the answers that were good.
    pub times: Histogram<u64>,
    /// All others, by their status.
    pub errors: BTreeMap<u16, u64>,
}

impl Kind {
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// What became of one second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Second {
    /// Answers.
    pub answers: u64,
    pub errors: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    /// How late requests were sent by the generator itself, its p99.
    pub late_p99_ms: f64,
}

pub struct Tally {
    pub kinds: Vec<Kind>,
    /// How long after it was due the generator came to a request: the crowded machine's part, not the server's.
    pub late: Histogram<u64>,
    pub seconds: Vec<Second>,
    /// Nanoseconds that the requests took in all.
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

    /// An answer that was good.
    pub fn answered(&mut self, step: Step, took_ns: u64) {
        let took_us = (took_ns / 1000).max(1);
        self.kinds[step as usize].times.saturating_record(took_us);
        self.second_times.saturating_record(took_us);
    }

    /// Any other end of a request.
    pub fn failed(&mut self, step: Step, status: u16) {
        *self.kinds[step as usize].errors.entry(status).or_default() += 1;
        self.second_errors += 1;
    }

    pub fn late(&mut self, late_ns: u64) {
        let late_us = (late_ns / 1000).max(1);
        self.late.saturating_record(late_us);
        self.second_late.saturating_record(late_us);
    }

    /// Closes the second, if it is over. Gives it then.
    pub fn tick(&mut self, now_ns: u64) -> Option<Second> {
        if now_ns < self.second_ends_ns {
            return None;
        }
        let ms = |quantile| self.second_times.value_at_quantile(quantile) as f64 / 1000.0;
        let second = Second {
            answers: self.second_times.len(),
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

    /// When the second is over.
    pub fn second_ends_ns(&self) -> u64 {
        self.second_ends_ns
    }

    /// Awards that were made.
    pub fn awards(&self) -> u64 {
        self.kinds.iter().filter(|it| it.step.is_award()).map(|it| it.times.len()).sum()
    }

    /// Of all kinds together.
    pub fn times(&self) -> Histogram<u64> {
        let mut times = histogram();
        self.kinds.iter().for_each(|it| times.add(&it.times).unwrap());
        times
    }
}
