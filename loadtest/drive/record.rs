//! One measured run: all its numbers, as they are written as JSON.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::audience::Audience;
use super::spent::Spent;
use super::step::Step;
use super::tally::{Kind, Second, Tally, error_name};
use crate::report;

#[derive(Clone, Debug, Serialize)]
pub struct Record {
    pub command: String,
    pub machine: String,
    pub commit: String,
    pub flow: String,
    pub connections: usize,
    /// Requests a second that were due. None: the closed loop.
    pub rate: Option<f64>,
    pub took_seconds: f64,
    /// By kind of request.
    pub requests: Vec<Row>,
    pub all: Row,
    /// How late the generator itself was.
    pub late: Times,
    pub listeners: Option<Heard>,
    /// CPU seconds and memory. None: the server is not ours.
    pub processes: Option<Spent>,
    pub seconds: Vec<Second>,
}

/// Percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    pub mean: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub request: &'static str,
    /// Good answers.
    pub count: u64,
    pub per_second: f64,
    pub ms: Times,
    /// All others, by status.
    pub errors: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Heard {
    pub count: usize,
    pub boards: u64,
    /// Boards with a new score of the leader, and changes that all listeners heard of.
    pub timed: u64,
    pub timed_last: u64,
    /// From the leader's request to each listener, and to the last one.
    pub ms: Times,
    pub last_ms: Times,
    pub connections_lost: u64,
    /// Boards that were not newer than what the listener had: there may be none.
    pub not_newer: u64,
}

/// What a run was asked to do.
pub struct Asked {
    pub command: String,
    pub flow: String,
    pub connections: usize,
    pub rate: Option<f64>,
}

impl Record {
    pub fn new(asked: Asked, tally: &Tally, audience: Option<Audience>, processes: Option<Spent>) -> Self {
        let seconds = tally.took_ns as f64 / 1e9;
        let kinds = tally.kinds.iter().filter(|it| it.times.len() + it.errors() > 0);
        let mut errors = BTreeMap::new();
        for (status, count) in tally.kinds.iter().flat_map(|it| &it.errors) {
            *errors.entry(error_name(*status)).or_default() += count;
        }
        let times = tally.times();
        Self {
            command: asked.command,
            machine: report::machine(),
            commit: report::commit(),
            flow: asked.flow,
            connections: asked.connections,
            rate: asked.rate,
            took_seconds: seconds,
            requests: kinds.map(|it| row(it, seconds)).collect(),
            all: Row {
                request: "all",
                count: times.len(),
                per_second: times.len() as f64 / seconds,
                ms: Times::of(&times),
                errors,
            },
            late: Times::of(&tally.late),
            listeners: audience.map(heard),
            processes,
            seconds: tally.seconds.clone(),
        }
    }

    pub fn errors(&self) -> u64 {
        self.all.errors.values().sum()
    }

    /// What one kind of request came to.
    pub fn of(&self, step: Step) -> &Row {
        self.requests.iter().find(|it| it.request == step.name()).expect("it was asked")
    }

    /// What the costs are divided by: the requests; where the board's listeners alone are measured, the boards that they were told.
    pub fn unit(&self) -> (&'static str, u64) {
        match &self.listeners {
            Some(heard) if self.connections == 0 => ("board told", heard.boards),
            _ => ("request", self.all.count),
        }
    }

    /// CPU microseconds of one part for each of so many.
    pub fn cpu_us(&self, part: fn(&Spent) -> f64, count: u64) -> f64 {
        self.processes.as_ref().map_or(0.0, part) / count as f64 * 1e6
    }
}

impl Times {
    pub fn of(times: &Histogram<u64>) -> Self {
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            mean: times.mean() / 1000.0,
            p50: ms(0.5),
            p75: ms(0.75),
            p90: ms(0.9),
            p95: ms(0.95),
            p99: ms(0.99),
            p999: ms(0.999),
            p9999: ms(0.9999),
            max: times.max() as f64 / 1000.0,
        }
    }
}

fn row(kind: &Kind, seconds: f64) -> Row {
    let count = kind.times.len();
    Row {
        request: kind.step.name(),
        count,
        per_second: count as f64 / seconds,
        ms: Times::of(&kind.times),
        errors: kind.errors.iter().map(|(status, count)| (error_name(*status), *count)).collect(),
    }
}

fn heard(mut audience: Audience) -> Heard {
    let (boards, not_newer) = audience.deliveries();
    Heard {
        count: audience.count(),
        boards,
        timed: audience.times.len(),
        timed_last: audience.lasts.len(),
        ms: Times::of(&audience.times),
        last_ms: Times::of(&audience.lasts),
        connections_lost: audience.lost,
        not_newer,
    }
}
