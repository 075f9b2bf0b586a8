//! What was measured, as Markdown.

use std::fmt;

use super::round::{KINDS, REQUESTS, Round};
use super::{Growth, ROUNDS, Stage};
use crate::cpu::Cpu;
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Growth";
/// The most that a request may take more of.
const TARGET: f64 = 1.5;

/// Microseconds a request.
struct Cost {
    time: f64,
    node: f64,
    redis: f64,
    postgres: f64,
    wal_bytes: f64,
}

impl Cost {
    fn of(rounds: &[Round]) -> Self {
        let requests = (rounds.len() * REQUESTS) as f64;
        let micros =
            |part: fn(&Cpu) -> f64| rounds.iter().map(|it| part(&it.cpu)).sum::<f64>() / requests * 1e6;
        let mut times: Vec<f64> = rounds.iter().map(|it| it.took.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        Self {
            // The middle one: the machine is not ours alone.
            time: times[times.len() / 2] / REQUESTS as f64 * 1e6,
            node: micros(|it| it.node),
            redis: micros(|it| it.redis),
            postgres: micros(|it| it.postgres),
            wal_bytes: rounds.iter().map(|it| it.wal_bytes).sum::<f64>() / requests,
        }
    }

    fn cpu(&self) -> f64 {
        self.node + self.redis + self.postgres
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-growth"))?;
        writeln!(
            f,
            "Nodes with different numbers of players, each player with an entry in the ledger; private stores with their defaults. They
are asked in turns, {} times {REQUESTS} requests of a kind, as fast as they are answered, by up to 20,000 players drawn by lot. µs a
request: the time between two answers (the middle round), and CPU until the ledger has everything (all rounds).\n",
            ROUNDS - 1
        )?;
        writeln!(f, "| request | players | time | CPU | node | Redis | Postgres | WAL bytes |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        let mut verdicts = Vec::new();
        for (kind, name) in KINDS.iter().enumerate() {
            let costs: Vec<Cost> = self.0.iter().map(|it| Cost::of(&it.rounds[kind])).collect();
            for (stage, cost) in self.0.iter().zip(&costs) {
                writeln!(
                    f,
                    "| {name} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} |",
                    grouped(stage.population.players),
                    cost.time,
                    cost.cpu(),
                    cost.node,
                    cost.redis,
                    cost.postgres,
                    cost.wal_bytes
                )?;
            }
            let (Some(first), Some(last)) = (costs.first(), costs.last()) else { continue };
            verdicts.push((name, last.time / first.time, last.cpu() / first.cpu()));
        }
        writeln!(f, "\nFrom the fewest players to the most (target: {TARGET} times at most):\n")?;
        writeln!(f, "| request | time | CPU | |\n|---|---|---|---|")?;
        for (name, time, cpu) in verdicts {
            let met = if time.max(cpu) <= TARGET { "met" } else { "**missed**" };
            writeln!(f, "| {name} | {time:.2} | {cpu:.2} | {met} |")?;
        }
        self.show_sizes(f)
    }
}

impl Growth {
    fn show_sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nBytes, in Postgres with the indexes: of a player in Redis (its memory before anybody played) and in `users` and \
`rollup_users`;\nof an award in `score_history` and `user_action`. Filled: seconds until Postgres had all players, and until a node with an empty\n\
Redis had loaded it from there and took awards.\n"
        )?;
        writeln!(
            f,
            "| players | Redis | `users` | `rollup_users` | `score_history` | `user_action` | filled | loaded | totals agree |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for Stage { population, sizes, totals_agree, .. } in &self.0 {
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} |",
                grouped(population.players),
                population.redis_bytes / population.players as f64,
                sizes.user,
                sizes.sums,
                sizes.entry,
                sizes.attempt,
                population.filled_in.as_secs_f64(),
                population.loaded_in.as_secs_f64(),
                if *totals_agree { "yes" } else { "**no**" }
            )?;
        }
        Ok(())
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    if number < 1000 {
        number.to_string()
    } else {
        format!("{},{:03}", grouped(number / 1000), number % 1000)
    }
}
