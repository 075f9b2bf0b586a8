//! The section of the flood test in the results.

use std::fmt;

use hdrhistogram::Histogram;

use super::{Flood, Phase};
use crate::results;
use crate::usage::Cpu;

pub const HEADING: &str = "## Floods";

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance("make bench-flood"))?;
        for (name, phases) in &self.nodes {
            writeln!(f, "A node with {name}:\n")?;
            writeln!(
                f,
                "| flood | refusals per second | responses | p50 ms | p99 ms | × alone | failed | unsent | others % | scripts per refusal | CPU node | Redis | load |"
            )?;
            writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
            phases.iter().try_for_each(|phase| phase.show(f, &phases[0]))?;
            writeln!(f)?;
        }
        writeln!(f, "`laurel verify` afterwards, node by node: {}", self.verified)
    }
}

impl Phase {
    fn show(&self, f: &mut fmt::Formatter<'_>, alone: &Self) -> fmt::Result {
        let ms = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50, p99) = (ms(&self.played.times, 0.5), ms(&self.played.times, 0.99));
        let (ratio, unsent) = (p99 / ms(&alone.played.times, 0.99), ms(&self.played.late, 0.99));
        let (failed, others) = (self.played.failed, 100.0 * self.others);
        let refusals = self.refused.values().sum::<u64>() as f64;
        if refusals == 0.0 {
            return writeln!(
                f,
                "| {} | | | {p50:.1} | {p99:.1} | | {failed} | {unsent:.1} | {others:.0} | | | | |",
                self.name
            );
        }
        let responses: Vec<String> =
            self.refused.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let Cpu { node, redis, load, .. } = self.cpu.since(&alone.cpu);
        let per_1000 = |seconds: f64| seconds / refusals * 1000.0;
        writeln!(
            f,
            "| {} | {:.0} | {} | {p50:.1} | {p99:.1} | {ratio:.1} | {failed} | {unsent:.1} | {others:.0} | {:.4} | {:.3} | {:.3} | {:.3} |",
            self.name,
            refusals / self.took.as_secs_f64(),
            responses.join(", "),
            (self.scripts - alone.scripts) / refusals,
            per_1000(node),
            per_1000(redis),
            per_1000(load),
        )
    }
}
