//! What is to be reached on a machine of two cores that the load shares.

use std::fmt::{self, Write};

use super::Standard;
use crate::drive::spent::Spent;
use crate::drive::step::Step;

struct Target {
    what: &'static str,
    /// What it has to be, and whether that is the most or the least.
    goal: f64,
    at_most: bool,
    measured: f64,
}

impl Standard {
    /// How near awards come to the script alone.
    pub fn ratio(&self) -> f64 {
        let alone = self.alone.iter().map(|it| it.per_second).sum::<f64>() / self.alone.len() as f64;
        self.finalize.of(Step::Finalize).per_second / alone
    }

    fn targets(&self) -> Vec<Target> {
        let target = |what, at_most, goal, measured| Target { what, goal, at_most, measured };
        let finalize = self.finalize.of(Step::Finalize);
        let update = self.update.of(Step::Update);
        let (ledger, postgres) = self.held.ledger_us();
        let [actions, game] = &self.paced;
        vec![
            target("awards a second, `finalize`", false, 14_000.0, finalize.per_second),
            target("awards a second, game `update`", false, 14_000.0, update.per_second),
            target(
                "CPU µs, `finalize`, in all",
                true,
                90.0,
                self.finalize.cpu_us(Spent::served, finalize.count),
            ),
            target("CPU µs, `update`, in all", true, 90.0, self.update.cpu_us(Spent::served, update.count)),
            target(
                "CPU µs of the node for an `update`, the ledger's work apart",
                true,
                45.0,
                self.held.node_us(),
            ),
            target("CPU µs of the ledger's work on it, with Postgres", true, 20.0, ledger + postgres),
            target(
                "p99 ms at 2,000 awards a second, `finalize`",
                true,
                10.0,
                actions.of(Step::Finalize).ms.p99,
            ),
            target("p99 ms at 2,000 awards a second, `update`", true, 10.0, game.of(Step::Update).ms.p99),
            target("board reads, × a bare handler", false, 0.9, self.reads.ratio()),
            target("`finalize`, × `redis-benchmark` on the same script", false, 0.4, self.ratio()),
        ]
    }

    pub fn show_targets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| target | goal | measured | |\n|---|--:|--:|---|")?;
        self.targets().iter().try_for_each(|it| writeln!(f, "{}", it.row()))?;
        let awards = [&self.finalize, &self.update];
        let [one, other] = awards.map(|it| it.processes.map_or(0.0, |it| it.others_percent));
        writeln!(
            f,
            "\nOther programs took {one:.0} and {other:.0} % of the machine while these awards were made."
        )
    }
}

impl Target {
    fn row(&self) -> String {
        let reached = if self.at_most { self.measured <= self.goal } else { self.measured >= self.goal };
        let places = if self.goal < 1.0 {
            2
        } else if self.goal < 1000.0 {
            1
        } else {
            0
        };
        let mut row = format!("| {} | {} {} |", self.what, if self.at_most { "≤" } else { "≥" }, self.goal);
        let _ =
            write!(row, " {:.places$} | {} |", self.measured, if reached { "reached" } else { "**missed**" });
        row
    }
}
