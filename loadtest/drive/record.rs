//! The numbers of a run, as JSON and as Markdown tables.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::flow::Step;
use super::subscribers::Subscribers;
use super::tally::{Kind, Second, Tally, error_name};
use crate::results;
use crate::usage::Usage;

#[derive(Clone, Debug, Serialize)]
pub struct Record {
    pub command: String,
    pub machine: String,
    pub commit: String,
    pub flow: String,
    pub connections: usize,
    /// Requests a second that were due. None: closed loop.
    pub rate: Option<f64>,
    pub took_seconds: f64,
    /// By kind of request.
    pub requests: Vec<Row>,
    pub all: Row,
    /// How late the generator sent requests.
    pub late: Times,
    pub subscribers: Option<SubscriberCounts>,
    /// CPU and memory. None: another machine's or another owner's server.
    pub processes: Option<Usage>,
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
    /// Successful responses.
    pub count: u64,
    pub per_second: f64,
    pub ms: Times,
    /// All others, by status.
    pub errors: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SubscriberCounts {
    pub count: usize,
    pub boards: u64,
    /// Boards with a new score of the top player, and changes that all subscribers received.
    pub timed: u64,
    pub timed_last: u64,
    /// From the top player's request to each subscriber, and to the last one.
    pub ms: Times,
    pub last_ms: Times,
    pub connections_lost: u64,
    /// Boards that were not newer than the subscriber's previous one, which must be none.
    pub not_newer: u64,
}

/// What a run was to do.
pub struct Task {
    pub command: String,
    pub flow: String,
    pub connections: usize,
    pub rate: Option<f64>,
}

impl Record {
    pub fn new(
        task: Task,
        tally: &Tally,
        subscribers: Option<Subscribers>,
        processes: Option<Usage>,
    ) -> Self {
        let seconds = tally.took_ns as f64 / 1e9;
        let kinds = tally.kinds.iter().filter(|kind| kind.times.len() + kind.errors() > 0);
        let mut errors = BTreeMap::new();
        for (status, count) in tally.kinds.iter().flat_map(|kind| &kind.errors) {
            *errors.entry(error_name(*status)).or_default() += count;
        }
        let times = tally.times();
        Self {
            command: task.command,
            machine: results::machine(),
            commit: results::commit(),
            flow: task.flow,
            connections: task.connections,
            rate: task.rate,
            took_seconds: seconds,
            requests: kinds.map(|kind| row(kind, seconds)).collect(),
            all: Row {
                request: "all",
                count: times.len(),
                per_second: times.len() as f64 / seconds,
                ms: Times::of(&times),
                errors,
            },
            late: Times::of(&tally.late),
            subscribers: subscribers.map(subscriber_counts),
            processes,
            seconds: tally.seconds.clone(),
        }
    }

    pub fn errors(&self) -> u64 {
        self.all.errors.values().sum()
    }

    /// The counts of one kind of request.
    pub fn of(&self, step: Step) -> &Row {
        self.requests.iter().find(|row| row.request == step.name()).expect("the run sent some")
    }

    /// What CPU is divided by: requests, or received boards where only the top player sends requests.
    pub fn unit(&self) -> (&'static str, u64) {
        match &self.subscribers {
            Some(subscribers) if self.connections == 0 => ("received board", subscribers.boards),
            _ => ("request", self.all.count),
        }
    }

    /// CPU µs of one part per unit.
    pub fn cpu_us(&self, cpu_seconds: fn(&Usage) -> f64, units: u64) -> f64 {
        self.processes.as_ref().map_or(0.0, cpu_seconds) / units as f64 * 1e6
    }

    /// A table with counts and times of each kind of request.
    pub fn times_table(&self) -> String {
        let mut text = String::from(
            "| request | count | per second | p50 ms | p90 | p99 | p99.9 | max | errors |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        let all = (self.requests.len() > 1).then_some(&self.all);
        for Row { request, count, per_second, ms, errors } in self.requests.iter().chain(all) {
            let errors: u64 = errors.values().sum();
            let _ = writeln!(text, "| {request} | {count} | {per_second:.0} | {ms} | {errors} |");
        }
        if let Some(subscribers) = &self.subscribers {
            let SubscriberCounts { timed, timed_last, ms, last_ms, .. } = subscribers;
            let _ = writeln!(text, "| award to a subscriber | {timed} | | {ms} | |");
            let _ = writeln!(text, "| award to the last subscriber | {timed_last} | | {last_ms} | |");
        }
        if self.rate.is_some() {
            let _ = writeln!(text, "| late (the generator itself) | | | {} | |", self.late);
        }
        text
    }

    /// One line with CPU and memory of each part.
    pub fn usage_line(&self) -> String {
        let Some(usage) = &self.processes else { return String::new() };
        let (unit, count) = self.unit();
        let parts = usage.parts().map(|(name, part)| {
            let us = part.cpu_seconds / count as f64 * 1e6;
            format!("{name} {us:.1} µs, {:.0} to {:.0} MiB", part.first_mib, part.last_mib)
        });
        let others = usage.others_percent;
        format!(
            "CPU per {unit}, and memory: {}. Others took {others:.0} % of the machine.\n",
            parts.join("; ")
        )
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, connections, took_seconds, .. } = self;
        match self.rate {
            Some(rate) => writeln!(
                f,
                "{flow}: {rate:.0} requests a second were due over {connections} connections, for {took_seconds:.1} s. Each is timed from its due time.\n"
            )?,
            None => writeln!(
                f,
                "{flow}: {connections} connections for {took_seconds:.1} s, each sending as soon as it has a response.\n"
            )?,
        }
        f.write_str(&self.times_table())?;
        let errors = self.requests.iter().flat_map(|row| {
            row.errors.iter().map(|(status, count)| format!("{} {status}: {count}", row.request))
        });
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            writeln!(f, "\nErrors: {}.", errors.join(", "))?;
        }
        if let Some(SubscriberCounts { count, boards, connections_lost, not_newer, .. }) = &self.subscribers {
            writeln!(
                f,
                "\n{count} subscribers (WebSocket, Socket.IO, server-sent events) received {boards} boards; {connections_lost} lost their connection; {not_newer} boards were not newer than the previous one."
            )?;
        }
        write!(f, "\n{}", self.usage_line())
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

/// p50, p90, p99, p99.9 and the maximum, as cells of a table.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |ms: f64| if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") };
        f.write_str(&[self.p50, self.p90, self.p99, self.p999, self.max].map(cell).join(" | "))
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

fn subscriber_counts(mut subscribers: Subscribers) -> SubscriberCounts {
    let (boards, not_newer) = subscribers.boards();
    SubscriberCounts {
        count: subscribers.count(),
        boards,
        timed: subscribers.times.len(),
        timed_last: subscribers.last_times.len(),
        ms: Times::of(&subscribers.times),
        last_ms: Times::of(&subscribers.last_times),
        connections_lost: subscribers.lost_connections,
        not_newer,
    }
}
