//! The counts of all rounds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::audit::RoundCounts;
use crate::faults::{Fault, Kind};

#[derive(Default)]
pub struct Report {
    pub rounds: u64,
    pub not_issued: u64,
    pub requests: u64,
    pub acknowledged: u64,
    pub boards: u64,
    pub older_on_other_node: u64,
    /// Lines about a full disk in Postgres' log.
    pub disk_full_errors: u64,
    total: RoundCounts,
    /// How often each kind came, and the longest recovery of a round with it.
    kinds: BTreeMap<Kind, (u64, Duration)>,
}

impl Report {
    pub fn add(&mut self, faults: &[Fault], recovery: Duration, counts: &RoundCounts) {
        self.rounds += 1;
        self.total.events += counts.events;
        self.total.uncertain_written += counts.uncertain_written;
        self.total.uncertain_not_written += counts.uncertain_not_written;
        self.total.replays_refused += counts.replays_refused;
        self.total.lost += counts.lost;
        for fault in faults {
            let entry = self.kinds.entry(fault.kind).or_default();
            *entry = (entry.0 + 1, entry.1.max(recovery));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = &self.total;
        let lines = [
            ("rounds", self.rounds),
            ("tokens", total.events as u64),
            ("requests for a token that failed", self.not_issued),
            ("requests that redeemed a token", self.requests),
            ("acknowledged", self.acknowledged),
            ("no response, in the ledger", total.uncertain_written as u64),
            ("no response, not in the ledger", total.uncertain_not_written as u64),
            ("used tokens redeemed again, refused", total.replays_refused as u64),
            ("lost within the promise", total.lost as u64),
            ("boards received by clients", self.boards),
            ("older boards on another node", self.older_on_other_node),
            ("disk-full errors of Postgres", self.disk_full_errors),
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
