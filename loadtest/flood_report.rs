//! The floods, as Markdown: the last part of the results.

use std::fmt;

use hdrhistogram::Histogram;

use crate::cpu::Cpu;
use crate::flood::{Flood, Phase};
use crate::hostile::CONNECTIONS;
use crate::players::{PER_SECOND, PLAYERS};
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Floods";

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-flood"))?;
        writeln!(f, "{}", explanation())?;
        for (name, phases) in &self.nodes {
            writeln!(f, "\nA node with {name}:\n")?;
            writeln!(
                f,
                "| flood | refusals per second | answered | p50 ms | p99 ms | × alone | failed | unsent | others % | scripts per refusal | CPU node | Redis | load |"
            )?;
            writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
            phases.iter().try_for_each(|it| it.row(f, &phases[0]))?;
        }
        writeln!(f, "\n`laurel verify` afterwards, node by node: {}", self.verified)
    }
}

/// How to read the tables.
fn explanation() -> String {
    format!(
        "{PLAYERS} honest players win {PER_SECOND} awards a second between them (`init` and `finalize`, timed together from the
moment when the award was due), alone and while {CONNECTIONS} hostile connections send requests to `finalize` as soon as they
are answered. \"Failed\" are honest awards that were not made. Hostile and honest clients share the cores with the
node and its stores, and all with others (in % of the machine): part of what a flood takes from honest players are the
cores that sending it takes, and where the others' part differs between two rows their ratio says little. \"Unsent\" is the p99 of the time before an award's first byte was sent, which is not the node's.
Scripts and CPU (seconds for 1,000 refusals) are what comes on top of the honest players alone at the same node;
for Redis that is below 0 where awards that bunch up behind a flood share a write to disk.
Hostile and honest clients share an address too, so there is no limit per address, but at the last node."
    )
}

impl Phase {
    fn row(&self, f: &mut fmt::Formatter<'_>, alone: &Self) -> fmt::Result {
        let ms = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50, p99) = (ms(&self.played.times, 0.5), ms(&self.played.times, 0.99));
        let (ratio, unsent) = (p99 / ms(&alone.played.times, 0.99), ms(&self.played.late, 0.99));
        let failed = self.played.failed;
        let others = 100.0 * self.others;
        let refusals = self.refused.values().sum::<u64>() as f64;
        if refusals == 0.0 {
            return writeln!(
                f,
                "| {} | | | {p50:.1} | {p99:.1} | | {failed} | {unsent:.1} | {others:.0} | | | | |",
                self.name
            );
        }
        let answered: Vec<String> =
            self.refused.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let Cpu { node, redis, load, .. } = self.cpu.since(&alone.cpu);
        let per_1000 = |seconds: f64| seconds / refusals * 1000.0;
        writeln!(
            f,
            "| {} | {:.0} | {} | {p50:.1} | {p99:.1} | {ratio:.1} | {failed} | {unsent:.1} | {others:.0} | {:.4} | {:.3} | {:.3} | {:.3} |",
            self.name,
            refusals / self.took.as_secs_f64(),
            answered.join(", "),
            (self.scripts - alone.scripts) / refusals,
            per_1000(node),
            per_1000(redis),
            per_1000(load),
        )
    }
}
