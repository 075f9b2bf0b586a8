//! The section of the fan-out test in the results.

use std::fmt;

use hdrhistogram::Histogram;

use super::Fanout;
use super::bare_send::BareSend;
use super::messages::Protocol;
use super::scenario::Row;
use crate::results;

pub const HEADING: &str = "## Fan-out";

impl fmt::Display for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance("make bench-fanout"))?;
        writeln!(
            f,
            "| protocol | clients | nodes | connected/s | KiB | KiB after | CPU node | × bare `send` | CPU client | p50 ms | p99 ms | last ms | worst | others % |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
        self.bare_sends.iter().try_for_each(|run| writeln!(f, "{}", run.line()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", row.line(&self.bare_sends)))?;
        let refused: u64 = self.rows.iter().map(|row| row.refused).sum();
        writeln!(f, "\nHandshakes that were refused and retried: {refused}.\n")?;
        writeln!(f, "`laurel verify` afterwards: {}", self.verified)
    }
}

impl BareSend {
    fn line(&self) -> String {
        format!(
            "| {} | {} | | | | | {:.1} | 1.0 | {:.1} | {} | |",
            Protocol::BareSend.name(),
            self.clients,
            self.send_us,
            self.client_us,
            times(&self.totals.times, &self.last_us),
        )
    }
}

impl Row {
    pub fn line(&self, bare_sends: &[BareSend]) -> String {
        let bare_send = bare_sends.iter().rfind(|run| run.clients <= self.clients);
        format!(
            "| {} | {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.0} |",
            self.protocol.name(),
            self.clients,
            self.nodes,
            self.connected_per_second,
            self.idle_bytes / 1024.0,
            self.used_bytes / 1024.0,
            self.node_us,
            self.node_us / bare_send.map_or(f64::NAN, |run| run.send_us),
            self.client_us,
            times(&self.times, &self.last_us),
            self.others * 100.0,
        )
    }
}

/// p50, p99, and the last client's median and worst, in milliseconds.
fn times(times: &Histogram<u64>, last_us: &[u64]) -> String {
    let mut last_us = last_us.to_vec();
    last_us.sort_unstable();
    let figures = [
        times.value_at_quantile(0.5),
        times.value_at_quantile(0.99),
        last_us[last_us.len() / 2],
        last_us[last_us.len() - 1],
    ];
    figures.map(|us| format!("{:.1}", us as f64 / 1000.0)).join(" | ")
}
