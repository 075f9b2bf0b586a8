//! One run of the generator: it warms up, sends a flow's requests, and records what they took.

use std::net::SocketAddr;

use indicatif::{ProgressBar, ProgressStyle};

use super::engine::{Engine, Plan};
use super::flow::Step;
use super::players::{Players, SavedTokens};
use super::record::{Record, Task};
use super::schedule::{Group, Pace};
use super::tally::Second;
use crate::server::Server;
use crate::usage::{Meter, thread_seconds};

/// Seconds before the measurement, in which pools and caches fill.
const WARM_UP: f64 = 1.0;
/// The top player's awards a second in the warm-up, so that nobody overtakes them later.
const WARM_UP_AWARDS: f64 = 200.0;

pub struct Job<'a> {
    pub name: &'a str,
    pub steps: Vec<Step>,
    pub address: SocketAddr,
    pub players: &'a Players,
    /// None: the server's processes are unknown, so their CPU and memory are not measured.
    pub server: Option<&'a Server>,
    pub pace: Pace,
    pub connections: usize,
    pub seconds: f64,
    /// The run ends earlier once this many requests were sent.
    pub max_requests: u64,
    pub subscribers: usize,
    /// The top player's awards a second, if there are subscribers.
    pub changes: f64,
    /// Whether to wait until the ledger has every award, so that its CPU is included.
    pub includes_ledger: bool,
    pub command: &'a str,
}

impl Job<'_> {
    /// Sends the flow for a second. Before that, the top player moves ahead of everybody.
    pub async fn warm_up(&self) {
        if self.subscribers > 0 {
            self.send_uncounted(Pace::Closed, 0, Some(WARM_UP_AWARDS));
        }
        if self.connections > 0 {
            self.send_uncounted(self.pace, self.connections, None);
        }
        if let Some(server) = self.server {
            server.wait_until_written().await;
        }
    }

    fn send_uncounted(&self, pace: Pace, lanes: usize, top_per_second: Option<f64>) {
        let crowd = Group { steps: self.steps.clone(), lanes, pace };
        let plan = Plan {
            address: self.address,
            players: self.players,
            crowd,
            top_per_second,
            subscribers: 0,
            seconds: WARM_UP,
            max_requests: u64::MAX,
        };
        Engine::new(plan, &mut SavedTokens::default()).run(|_| ());
    }

    /// Measures without tokens of an earlier run.
    pub async fn measure(&self) -> Record {
        self.measure_with(&mut SavedTokens::default()).await
    }

    pub async fn measure_with(&self, tokens: &mut SavedTokens) -> Record {
        let crowd = Group { steps: self.steps.clone(), lanes: self.connections, pace: self.pace };
        let plan = Plan {
            address: self.address,
            players: self.players,
            crowd,
            top_per_second: (self.subscribers > 0).then_some(self.changes),
            subscribers: self.subscribers,
            seconds: self.seconds,
            max_requests: self.max_requests,
        };
        let engine = Engine::new(plan, tokens);
        let meter = self.server.map(Meter::start);
        let bar = progress_bar(self.name, self.seconds);
        let before = thread_seconds();
        let (tally, subscribers) = engine.run(|second| show_progress(&bar, second));
        let generator_seconds = thread_seconds() - before;
        bar.finish_and_clear();
        if let Some(server) = self.server
            && self.includes_ledger
            && tally.awards() > 0
        {
            server.wait_until_written().await;
        }
        let task = Task {
            command: self.command.to_owned(),
            flow: self.name.to_owned(),
            connections: self.connections,
            rate: match self.pace {
                Pace::Closed => None,
                Pace::Open(per_second) => Some(per_second),
            },
        };
        Record::new(task, &tally, subscribers, meter.map(|meter| meter.end(generator_seconds)))
    }
}

fn progress_bar(name: &str, seconds: f64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} s  {msg}");
    ProgressBar::new(seconds.ceil() as u64)
        .with_prefix(name.to_owned())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show_progress(bar: &ProgressBar, second: &Second) {
    let Second { responses, errors, p99_ms, .. } = second;
    bar.set_message(format!("{responses}/s, p99 {p99_ms:.1} ms, {errors} errors"));
    bar.inc(1);
}
