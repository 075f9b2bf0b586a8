//! A run as a table that is also Markdown.

use std::fmt::{self, Write};

use super::record::{Record, Times};

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => writeln!(
                f,
                "{}: {rate:.0} requests a second were due over {} connections, for {:.1} s; each is timed from the moment when it was due.\n",
                self.flow, self.connections, self.took_seconds
            )?,
            None => writeln!(
                f,
                "{}: {} connections for {:.1} s, each sending as soon as it is answered.\n",
                self.flow, self.connections, self.took_seconds
            )?,
        }
        f.write_str(&self.times())?;
        let errors = self.requests.iter().flat_map(|row| {
            row.errors.iter().map(|(status, count)| format!("{} {status}: {count}", row.request))
        });
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            writeln!(f, "\nErrors: {}.", errors.join(", "))?;
        }
        if let Some(heard) = &self.listeners {
            writeln!(
                f,
                "\n{} listeners (WebSocket, Socket.IO, SSE) were told {} boards; {} lost their connection; {} boards were not newer than the last.",
                heard.count, heard.boards, heard.connections_lost, heard.not_newer
            )?;
        }
        self.costs(f)
    }
}

impl Record {
    /// Counts and times of each kind of request.
    pub fn times(&self) -> String {
        let mut text = String::from(
            "| request | count | per second | p50 ms | p90 | p99 | p99.9 | max | errors |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        let all = (self.requests.len() > 1).then_some(&self.all);
        for row in self.requests.iter().chain(all) {
            let errors: u64 = row.errors.values().sum();
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {} | {errors} |",
                row.request,
                row.count,
                row.per_second,
                cells(&row.ms)
            );
        }
        if let Some(heard) = &self.listeners {
            let _ = writeln!(text, "| award to a listener | {} | | {} | |", heard.timed, cells(&heard.ms));
            let _ = writeln!(
                text,
                "| award to the last listener | {} | | {} | |",
                heard.timed_last,
                cells(&heard.last_ms)
            );
        }
        if self.rate.is_some() {
            let _ = writeln!(text, "| late (the generator itself) | | | {} | |", cells(&self.late));
        }
        text
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(spent) = &self.processes else { return Ok(()) };
        let (unit, count) = self.unit();
        writeln!(f, "\n| process | CPU µs a {unit} | MiB first | MiB last |\n|---|--:|--:|--:|")?;
        for (name, part) in spent.parts() {
            let us = part.cpu_seconds / count as f64 * 1e6;
            writeln!(f, "| {name} | {us:.1} | {:.1} | {:.1} |", part.first_mib, part.last_mib)?;
        }
        writeln!(f, "\nOther programs took {:.0} % of the machine.", spent.others_percent)
    }
}

/// Percentiles as the cells of a row.
pub fn cells(ms: &Times) -> String {
    let cell = |ms: f64| if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") };
    [ms.p50, ms.p90, ms.p99, ms.p999, ms.max].map(cell).join(" | ")
}
