//! What the shards cost, as Markdown.

use std::fmt;

use hdrhistogram::Histogram;

use super::stage::{Cost, Done, Stage};
use super::{ALONE, AWARDS, LEADING, RANKS, ROUNDS, Shards, USERS};
use crate::{CONNECTIONS, report};

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Shards";

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn ms(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-shards"))?;
        writeln!(
            f,
            "Five nodes, each with a Postgres of its own, in turns, {ROUNDS} rounds: four with a private Redis, one with a Redis Cluster of three
masters and three replicas, all on this machine and disk (`appendfsync always`); {USERS} users with scores all over the range; {CONNECTIONS}
connections. CPU is in seconds for 1,000 requests until the ledger has them, without what each part takes at rest; Redis is all
masters together. Medians of the rounds; × is the median of what a round was to the one with 1 shard beside it. Others used {:.0} % of the machine.\n",
            self.others * 100.0
        )?;
        table(
            f,
            &format!(
                "{AWARDS} awards (`finalize`) a round, of everybody in turn, so that few change the ten"
            ),
            &self.stages,
            |it| &it.awards,
        )?;
        table(
            f,
            &format!("{LEADING} awards a round, of the ten best alone, so that each changes the ten"),
            &self.stages,
            |it| &it.leading,
        )?;
        table(
            f,
            &format!("{RANKS} exact ranks a round (`GET /api/scoreboard/user/:id`)"),
            &self.stages,
            |it| &it.ranks,
        )?;
        self.alone(f)?;
        writeln!(f, "{}", self.held)?;
        writeln!(f, "`laurel verify` afterwards, node by node: {}", self.verified)
    }
}

impl Shards {
    fn alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "One request after the other, {ALONE} of each a round, with nothing else under way; and what is used at rest, in ms of CPU a second:\n"
        )?;
        writeln!(
            f,
            "| shards | award p50 ms | p99 | rank p50 ms | p99 | node at rest | Redis at rest | replicas at rest |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for it in &self.stages {
            let Cost { node, redis, replicas, .. } = it.rest.times(1000.0);
            let [award, slow_award] = [0.5, 0.99].map(|at| ms(&it.award_alone, at));
            let [rank, slow_rank] = [0.5, 0.99].map(|at| ms(&it.rank_alone, at));
            writeln!(
                f,
                "| {} | {award:.1} | {slow_award:.1} | {rank:.1} | {slow_rank:.1} | {node:.1} | {redis:.1} | {replicas:.1} |",
                it.name
            )?;
        }
        writeln!(f)
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, stages: &[Stage], of: fn(&Stage) -> &Done) -> fmt::Result {
    writeln!(f, "{title}:\n")?;
    writeln!(
        f,
        "| shards | per second | × | p50 ms | p99 ms | CPU node | × | Redis | × | replicas | Postgres | all | × |"
    )?;
    writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
    let first = of(&stages[0]);
    for stage in stages {
        let it = of(stage);
        let cost = |of: fn(&Cost) -> f64| median(it.cost.iter().map(of));
        let ratio = |of: fn(&Cost) -> f64| {
            median(it.cost.iter().zip(&first.cost).map(|(mine, first)| of(mine) / of(first)))
        };
        let all = |it: &Cost| it.node + it.redis + it.replicas + it.postgres;
        let faster = median(it.per_second.iter().zip(&first.per_second).map(|(mine, first)| mine / first));
        writeln!(
            f,
            "| {} | {:.0} | {faster:.2} | {:.1} | {:.1} | {:.3} | {:.2} | {:.3} | {:.2} | {:.3} | {:.3} | {:.3} | {:.2} |",
            stage.name,
            median(it.per_second.iter().copied()),
            ms(&it.times, 0.5),
            ms(&it.times, 0.99),
            cost(|it| it.node),
            ratio(|it| it.node),
            cost(|it| it.redis),
            ratio(|it| it.redis),
            cost(|it| it.replicas),
            cost(|it| it.postgres),
            cost(all),
            ratio(all),
        )?;
    }
    writeln!(f)
}
