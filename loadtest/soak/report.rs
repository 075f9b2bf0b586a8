//! What was measured, as Markdown: some of the minutes, the first quarter against the last, and what VACUUM took back.

use std::fmt;

use super::row::Row;
use super::tables::Table;
use super::{AWARDS_PER_SECOND, LISTENERS, PLAYERS, READS_PER_SECOND, Soak};
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## A long run";
/// Minutes that are shown.
const SHOWN: usize = 12;

/// What is held against the beginning: its name, the number, and how many times of it are still flat.
type Measure = (&'static str, fn(&Row) -> f64, f64);

/// Times are those of a shared machine.
const MEASURES: [Measure; 10] = [
    ("award p50, ms", |it| it.award_p50, 1.5),
    ("award p99, ms", |it| it.award_p99, 2.0),
    ("read p50, ms", |it| it.read_p50, 1.5),
    ("CPU, µs an award", |it| it.cpu_us, 1.2),
    ("node, MiB", |it| it.node, 1.1),
    ("Redis, MiB", |it| it.redis, 1.3),
    ("its data, MiB", |it| it.redis_used, 1.1),
    ("Postgres, MiB", |it| it.postgres, 1.1),
    ("keys in Redis", |it| it.keys as f64, 1.1),
    ("the stream, KiB", |it| it.outbox_kib, 2.0),
];

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: u64 = self.rows.iter().map(|it| it.failed).sum();
        let minutes = self.rows.len();
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance(&format!("make bench-soak MINUTES={minutes}")))?;
        writeln!(
            f,
            "{minutes} minutes of {AWARDS_PER_SECOND} awards (half in game sessions, half by the actions API) and {READS_PER_SECOND} reads a second by {PLAYERS}
players, and {LISTENERS} listeners who come and go; private stores with their defaults. Times are from the moment when a request was due.
Of all requests {failed} failed; `laurel verify` afterwards: {}.\n",
            self.verified
        )?;
        self.show_minutes(f)?;
        self.show_verdict(f)?;
        self.show_tables(f)?;
        writeln!(f, "\n![memory and latency over time](plots/soak.svg)")
    }
}

impl Soak {
    fn show_minutes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| minute | awards | p50 ms | p99 | reads p50 | p99 | node MiB | Redis | its data | Postgres | keys | outbox | stream KiB | \
tables MiB | dead rows | WAL MiB | listeners | others % |"
        )?;
        writeln!(f, "|{}", "---|".repeat(18))?;
        let every = self.rows.len().div_ceil(SHOWN);
        for (number, it) in (1..).zip(&self.rows).filter(|(number, _)| number % every == 0) {
            writeln!(
                f,
                "| {number} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} | {:.0} | {:.0} | {} | {:.0} | {} | {:.0} |",
                it.awards,
                it.award_p50,
                it.award_p99,
                it.read_p50,
                it.read_p99,
                it.node,
                it.redis,
                it.redis_used,
                it.postgres,
                it.keys,
                it.outbox,
                it.outbox_kib,
                it.tables,
                it.dead,
                it.wal,
                it.listeners,
                it.others,
            )?;
        }
        Ok(())
    }

    fn show_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sessions' keys live for four minutes, and Postgres' memory fills: the beginning is after that.
        let warm = &self.rows[self.rows.len() / 12..];
        let quarter = warm.len().div_ceil(4);
        let (first, last) = (&warm[..quarter], &warm[warm.len() - quarter..]);
        writeln!(
            f,
            "\nMeans of the first quarter ({quarter} minutes, after {} to warm up) and of the last:\n",
            self.rows.len() - warm.len()
        )?;
        writeln!(f, "| | first | last | ratio | flat is at most | |\n|---|---|---|---|---|---|")?;
        for (name, look, most) in MEASURES {
            let mean = |rows: &[Row]| rows.iter().map(look).sum::<f64>() / rows.len() as f64;
            let (first, last) = (mean(first), mean(last));
            let ratio = last / first;
            let flat = if ratio <= most { "flat" } else { "**grew**" };
            writeln!(f, "| {name} | {first:.1} | {last:.1} | {ratio:.2} | {most} | {flat} |")?;
        }
        Ok(())
    }

    fn show_tables(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nTables when the load had ended, and what VACUUM left:\n")?;
        writeln!(f, "| table | rows | MiB | bytes a row | dead rows | after VACUUM | autovacuums |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for before in &self.before {
            let Table { name, bytes, live, dead, vacuums } = before;
            let left = self.after.iter().find(|it| it.name == *name).map_or(0, |it| it.dead);
            let (mib, by_row) = (*bytes as f64 / 1048576.0, *bytes as f64 / (*live).max(1) as f64);
            writeln!(f, "| `{name}` | {live} | {mib:.1} | {by_row:.0} | {dead} | {left} | {vacuums} |")?;
        }
        Ok(())
    }
}
