//! The storms, as Markdown.

use std::fmt;

use super::awards::{PER_SECOND, Won};
use super::storms::{Storm, Storms};
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Storms";

impl fmt::Display for Storms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-storms"))?;
        writeln!(
            f,
            "Three nodes on the same stores with {} clients each, half Socket.IO, half WebSocket; one node is killed (SIGKILL), then
another is asked to go (SIGTERM). Their clients come back by themselves to the nodes that are left: Socket.IO's as the
official client does (0.5 to 1.5 s, then twice as long each time up to 5 s), the others within 2 s, or when the close frame says.
Meanwhile players win {PER_SECOND} awards a second at the nodes that are left, one of a hundred by the leader, so that the board changes; they
are timed from the moment when they were due, for 10 s before each storm and until all clients are back; clients and nodes share the cores, so
their p99 is that of awards that met a board on its way to all clients. No client was told a board older than
the one it had before its connection was lost.\n",
            self.clients
        )?;
        writeln!(
            f,
            "| node | connections lost | process ended s | all back s | away s p50 | p99 | refused | awards p50 ms before | p99 | failed | during | p99 | failed |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
        self.killed.show(f, "killed")?;
        self.drained.show(f, "drained")?;
        let closed = &self.drained.counted.closed;
        let middle = closed.get(1..closed.len() - 1).unwrap_or_default().iter();
        writeln!(
            f,
            "\nThe node that drained closed {} to {} connections a second between the first and the last second of its window ({closed:?}), and ended with exit code 0.\n",
            middle.clone().min().unwrap_or(&0),
            middle.max().unwrap_or(&0),
        )?;
        writeln!(f, "`laurel verify` afterwards: {}", self.verified)
    }
}

impl Storm {
    fn show(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let away = |quantile| self.counted.away.value_at_quantile(quantile) as f64 / 1000.0;
        writeln!(
            f,
            "| {name} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {} |",
            self.lost,
            self.ended_in.as_secs_f64(),
            self.back_in.as_secs_f64(),
            away(0.5),
            away(0.99),
            self.counted.refused,
            self.before.cells(),
            self.during.cells(),
        )
    }
}

impl Won {
    fn cells(&self) -> String {
        let ms = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        format!("{:.1} | {:.1} | {}", ms(0.5), ms(0.99), self.failed)
    }
}
