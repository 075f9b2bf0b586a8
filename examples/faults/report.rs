//! What all rounds came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::judge::Outcome;

#[derive(Default)]
pub struct Report {
    pub rounds: u64,
    pub not_issued: u64,
    pub requests: u64,
    pub acknowledged: u64,
    pub boards: u64,
    pub older_elsewhere: u64,
    /// Lines of Postgres' log: whether a full disk was felt.
    pub unwritten: u64,
    total: Outcome,
    /// How often, and the longest recovery of a round that had it.
    kinds: BTreeMap<Kind, (u64, Duration)>,
}

impl Report {
    pub fn add(&mut self, faults: &[Fault], recovery: Duration, outcome: &Outcome) {
        self.rounds += 1;
        self.total.events += outcome.events;
        self.total.unsure_counted += outcome.unsure_counted;
        self.total.unsure_not += outcome.unsure_not;
        self.total.replays_refused += outcome.replays_refused;
        self.total.lost += outcome.lost;
        for fault in faults {
            let known = self.kinds.entry(fault.kind).or_default();
            *known = (known.0 + 1, known.1.max(recovery));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = &self.total;
        let lines = [
            ("rounds", self.rounds),
            ("tokens", total.events as u64),
            ("tokens asked for in vain", self.not_issued),
            ("requests that handed one in", self.requests),
            ("acknowledged", self.acknowledged),
            ("without an answer, counted once", total.unsure_counted as u64),
            ("without an answer, not counted", total.unsure_not as u64),
            ("used tokens handed in again, refused", total.replays_refused as u64),
            ("lost within the promise", total.lost as u64),
            ("boards seen by clients", self.boards),
            ("older boards met at another node", self.older_elsewhere),
            ("writes that Postgres had no room for", self.unwritten),
        ];
        for (name, count) in lines {
            writeln!(f, "{name:38} {count:>9}")?;
        }
        writeln!(f, "\n{:16} {:>7} {:>18}", "fault", "times", "longest recovery")?;
        for (kind, (times, recovery)) in &self.kinds {
            writeln!(f, "{:16} {times:>7} {:>16.1} s", format!("{kind:?}"), recovery.as_secs_f64())?;
        }
        Ok(())
    }
}
