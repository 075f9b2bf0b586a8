//! The section of the standard set in the results.

use std::fmt;

use super::{COMMAND, PER_SECOND, Standard};
use crate::drive::flow::Step;
use crate::drive::record::{Record, Row};
use crate::results;
use crate::usage::Usage;

pub const HEADING: &str = "## Standard set";

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance(COMMAND))?;
        self.show_awards(f)?;
        writeln!(f, "### {PER_SECOND:.0} awards a second\n")?;
        self.paced.iter().try_for_each(|record| show_run(f, record))?;
        let bare = &self.reads.paced;
        writeln!(
            f,
            "A bare handler at the same pace:\n\n{}\n\
             CPU per request: bare handler {:.1} µs, generator {:.1} µs.\n",
            bare.record.times_table(),
            bare.server_us,
            bare.generator_us
        )?;
        self.show_reads(f)?;
        writeln!(f, "### Subscribers\n")?;
        show_run(f, &self.sockets)?;
        writeln!(f, "### Mixed\n")?;
        show_run(f, &self.mixed)?;
        self.show_targets(f)?;
        writeln!(f, "\n`laurel verify` afterwards: {}", self.verified)
    }
}

impl Standard {
    fn show_awards(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### Awards, as fast as possible\n
| request | count | per second | p50 ms | p90 | p99 | p99.9 | max | errors | CPU node | Redis | Postgres | all | generator | others % |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for (record, step) in
            [(&self.init, Step::Init), (&self.finalize, Step::Finalize), (&self.update, Step::Update)]
        {
            show_award(f, record, record.of(step))?;
        }
        let (ledger, postgres) = self.ledger_share.ledger_us();
        writeln!(
            f,
            "\nWithout the ledger's work an `update` took {:.1} µs of the node. Writing the backlog then took {ledger:.1} µs of the node and {postgres:.1} µs
of Postgres per entry.\n",
            self.ledger_share.node_us(),
        )
    }

    fn show_reads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bare, laurel) = self.reads.means(|read| read.record.all.per_second);
        let (bare_us, laurel_us) = self.reads.means(|read| read.server_us);
        let (bare_generator_us, generator_us) = self.reads.means(|read| read.generator_us);
        writeln!(f, "### Reads\n")?;
        writeln!(f, "| board | per second | CPU µs of the server | of the generator |\n|---|--:|--:|--:|")?;
        writeln!(f, "| bare handler | {bare:.0} | {bare_us:.1} | {bare_generator_us:.1} |")?;
        writeln!(f, "| Laurel | {laurel:.0} | {laurel_us:.1} | {generator_us:.1} |")?;
        writeln!(f, "| ratio, median of the rounds | {:.2} | | |\n", self.reads.ratio())?;
        show_run(f, &self.rank)
    }
}

fn show_run(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    writeln!(f, "{}\n{}", record.times_table(), record.usage_line())
}

fn show_award(f: &mut fmt::Formatter<'_>, record: &Record, row: &Row) -> fmt::Result {
    let us = |cpu_seconds| format!("{:.1}", record.cpu_us(cpu_seconds, row.count));
    let node = us(|usage| usage.node.cpu_seconds);
    let redis = us(|usage| usage.redis.cpu_seconds);
    let postgres = us(|usage| usage.postgres.cpu_seconds);
    let generator = us(|usage| usage.generator.cpu_seconds);
    let (all, errors) = (us(Usage::server_seconds), record.errors());
    let others = record.processes.map_or(0.0, |usage| usage.others_percent);
    let Row { request, count, per_second, ms, .. } = row;
    writeln!(
        f,
        "| {request} | {count} | {per_second:.0} | {ms} | {errors} | {node} | {redis} | {postgres} | {all} | {generator} | {others:.0} |"
    )
}
