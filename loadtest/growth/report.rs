//! The section of the growth test in the results.

use std::fmt;

use super::rounds::{KINDS, REQUESTS, Round};
use super::{Growth, RowBytes, Stage};
use crate::results;
use crate::usage::Usage;

pub const HEADING: &str = "## Growth";

/// µs and bytes per request.
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
        let us = |part: fn(&Usage) -> f64| {
            rounds.iter().map(|round| part(&round.usage)).sum::<f64>() / requests * 1e6
        };
        let mut times: Vec<f64> = rounds.iter().map(|round| round.took_seconds).collect();
        times.sort_by(f64::total_cmp);
        Self {
            // The median, because other programs share the machine.
            time: times[times.len() / 2] / REQUESTS as f64 * 1e6,
            node: us(|usage| usage.node.cpu_seconds),
            redis: us(|usage| usage.redis.cpu_seconds),
            postgres: us(|usage| usage.postgres.cpu_seconds),
            wal_bytes: rounds.iter().map(|round| round.wal_bytes).sum::<f64>() / requests,
        }
    }

    fn cpu(&self) -> f64 {
        self.node + self.redis + self.postgres
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance("make bench-growth"))?;
        writeln!(
            f,
            "| request | players | time | × fewest | CPU | × fewest | node | Redis | Postgres | WAL bytes |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for (kind, (name, _)) in KINDS.iter().enumerate() {
            let fewest = Cost::of(&self.0[0].rounds[kind]);
            for Stage { population, rounds, .. } in &self.0 {
                let cost = Cost::of(&rounds[kind]);
                let Cost { time, node, redis, postgres, wal_bytes } = cost;
                let (times, cpu_times) = (time / fewest.time, cost.cpu() / fewest.cpu());
                writeln!(
                    f,
                    "| {name} | {} | {time:.0} | {times:.2} | {:.1} | {cpu_times:.2} | {node:.1} | {redis:.1} | {postgres:.1} | {wal_bytes:.0} |",
                    grouped(population.count),
                    cost.cpu()
                )?;
            }
        }
        writeln!(
            f,
            "\n| players | Redis | `users` | `rollup_users` | `score_history` | `user_action` | filled | loaded | totals agree |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for Stage { population, row_bytes, totals_agree, .. } in &self.0 {
            let RowBytes { users, rollup_users, score_history, user_action } = row_bytes;
            writeln!(
                f,
                "| {} | {:.0} | {users:.0} | {rollup_users:.0} | {score_history:.0} | {user_action:.0} | {:.0} | {:.0} | {} |",
                grouped(population.count),
                population.redis_bytes / population.count as f64,
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
