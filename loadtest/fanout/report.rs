//! What was measured, as Markdown.

use std::fmt;

use hdrhistogram::Histogram;

use super::Fanout;
use super::floor::Floor;
use super::orders::Protocol;
use super::row::Row;
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Fan-out";

const EXPLANATION: &str =
    "One player leads, and each award of theirs (`update`, at the first of the nodes) changes the board, the next when all
clients have it and 150 ms have passed. Nodes and clients share the cores; the stores, and the ledger's lead, are with another node, which
has no sockets. A client reads each board and looks at its version, which is the moment of the change by Redis' clock: the
times are from there to the clients (so the write to disk before the publication, `appendfsync always`, is in them), p50
and p99 over all deliveries, \"last\" for the last client of each change, its median and its worst. No client was told a
board that was not newer than the one before.

\"Connected\" is handshakes a second up to the first board, 256 under way at once for each node. KiB is resident memory
of the nodes for each socket, with each client another user: at rest before any change, then after all changes. CPU is in
microseconds for a delivery: the nodes' beyond what they take at rest (their part of the awards is in it), the clients', and the nodes' as a multiple
of the floor with as many clients, or with the most there are. The floor is a bare loop, on one thread, of `send`s of the same bytes on
sockets that do not block, to the same clients without a handshake: what is left of the cost is the kernel's. Sending over loopback
includes receiving.";

impl fmt::Display for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n\n{EXPLANATION}\n", report::provenance("make bench-fanout"))?;
        writeln!(
            f,
            "| listen by | clients | nodes | connected/s | KiB | KiB after | CPU node | × floor | CPU client | p50 ms | p99 ms | last ms | worst | others % |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
        self.floors.iter().try_for_each(|it| writeln!(f, "{}", it.line()))?;
        for row in &self.rows {
            writeln!(f, "{}", row.line(&self.floors))?;
        }
        let refused: u64 = self.rows.iter().map(|it| it.refused).sum();
        writeln!(f, "\nHandshakes that were refused and made again: {refused}.\n")?;
        writeln!(f, "`laurel verify` afterwards: {}", self.verified)
    }
}

impl Floor {
    fn line(&self) -> String {
        format!(
            "| {} | {} | | | | | {:.1} | 1.0 | {:.1} | {} | |",
            Protocol::Bare.name(),
            self.clients,
            self.send_us,
            self.client_us,
            times(&self.counted.times, &self.lasts),
        )
    }
}

impl Row {
    /// A row of the table, beside the floor that has as many clients, or the most.
    pub fn line(&self, floors: &[Floor]) -> String {
        let floor = floors.iter().rfind(|it| it.clients <= self.clients);
        format!(
            "| {} | {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.0} |",
            self.protocol.name(),
            self.clients,
            self.nodes,
            self.connected_per_second,
            self.idle_bytes / 1024.0,
            self.used_bytes / 1024.0,
            self.node_us,
            self.node_us / floor.map_or(f64::NAN, |it| it.send_us),
            self.client_us,
            times(&self.times, &self.lasts),
            self.others * 100.0,
        )
    }
}

/// p50, p99, and the last client's median and worst, in milliseconds.
fn times(times: &Histogram<u64>, lasts: &[u64]) -> String {
    let mut lasts = lasts.to_vec();
    lasts.sort_unstable();
    let figures = [
        times.value_at_quantile(0.5),
        times.value_at_quantile(0.99),
        lasts[lasts.len() / 2],
        lasts[lasts.len() - 1],
    ];
    figures.map(|us| format!("{:.1}", us as f64 / 1000.0)).join(" | ")
}
