//! The targets of the standard set, on a machine of two cores that the load shares.

use std::fmt::{self, Write};

use super::Standard;
use crate::drive::flow::Step;
use crate::usage::Usage;

struct Target {
    name: &'static str,
    goal: Goal,
    measured: f64,
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Standard {
    fn targets(&self) -> Vec<Target> {
        use Goal::{AtLeast, AtMost};
        let target = |name, goal, measured| Target { name, goal, measured };
        let finalize = self.finalize.of(Step::Finalize);
        let update = self.update.of(Step::Update);
        let finalize_us = self.finalize.cpu_us(Usage::server_seconds, finalize.count);
        let update_us = self.update.cpu_us(Usage::server_seconds, update.count);
        let node_us = self.ledger_share.node_us();
        let (ledger, postgres) = self.ledger_share.ledger_us();
        let [actions, game] = &self.paced;
        let (finalize_p99, update_p99) = (actions.of(Step::Finalize).ms.p99, game.of(Step::Update).ms.p99);
        vec![
            target("`finalize` a second", AtLeast(14_000.0), finalize.per_second),
            target("game `update` a second", AtLeast(14_000.0), update.per_second),
            target("CPU µs of a `finalize`, node and stores", AtMost(90.0), finalize_us),
            target("CPU µs of an `update`, node and stores", AtMost(90.0), update_us),
            target("CPU µs of the node for an `update`, without the ledger's work", AtMost(45.0), node_us),
            target("CPU µs of the ledger's work on it, with Postgres", AtMost(20.0), ledger + postgres),
            target("p99 ms of `finalize` at 2,000 awards a second", AtMost(10.0), finalize_p99),
            target("p99 ms of `update` at 2,000 awards a second", AtMost(10.0), update_p99),
            target("board reads, × a bare handler", AtLeast(0.9), self.reads.ratio()),
        ]
    }

    pub fn show_targets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### Targets\n\n| target | goal | measured | |\n|---|--:|--:|---|")?;
        self.targets().iter().try_for_each(|target| writeln!(f, "{}", target.row()))?;
        let runs = [&self.finalize, &self.update];
        let [one, other] = runs.map(|run| run.processes.map_or(0.0, |usage| usage.others_percent));
        writeln!(f, "\nOther programs took {one:.0} and {other:.0} % of the machine during these awards.")
    }
}

impl Target {
    fn row(&self) -> String {
        let (sign, goal, is_reached) = match self.goal {
            Goal::AtLeast(goal) => ("≥", goal, self.measured >= goal),
            Goal::AtMost(goal) => ("≤", goal, self.measured <= goal),
        };
        let places = match goal {
            ..1.0 => 2,
            ..1000.0 => 1,
            _ => 0,
        };
        let mut row = format!("| {} | {sign} {goal} |", self.name);
        let _ =
            write!(row, " {:.places$} | {} |", self.measured, if is_reached { "reached" } else { "missed" });
        row
    }
}
