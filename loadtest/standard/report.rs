//! The standard set, as Markdown: what the results begin with.

use std::fmt;

use super::{AWARDS, COMMAND, MIXED_PER_SECOND, PER_SECOND, Standard};
use crate::drive::program::Flow;
use crate::drive::record::{Record, Row};
use crate::drive::spent::Spent;
use crate::drive::step::Step;
use crate::drive::table::cells;
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "# Results";

const PARTS: [fn(&Spent) -> f64; 4] = [
    |it| it.node.cpu_seconds,
    |it| it.redis.cpu_seconds,
    |it| it.postgres.cpu_seconds,
    |it| it.generator.cpu_seconds,
];

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance(COMMAND))?;
        writeln!(
            f,
            "One node as it ships but for its limits (`appendfsync always`, every award written to the ledger), its private Redis and
Postgres, and the generator on the same cores: `loadtest/README.md` explains it and its numbers. All numbers: `standard.json`.\n"
        )?;
        self.show_targets(f)?;
        self.show_awards(f)?;
        self.show_pace(f)?;
        self.show_reads(f)?;
        self.show_listeners(f)?;
        writeln!(f, "\n`laurel verify` afterwards: {}", self.verified)
    }
}

impl Standard {
    fn show_awards(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n### Awards, as many as can be\n
{} connections, each sending as soon as it is answered: {AWARDS} `init`, then `finalize` of these tokens, then `update` in game
sessions. CPU is in µs for each, and counts until the ledger has every entry; \"all\" is without the generator.\n",
            crate::CONNECTIONS
        )?;
        writeln!(
            f,
            "| request | count | per second | p50 ms | p90 | p99 | p99.9 | max | errors | CPU node | Redis | Postgres | all | generator | others % |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for (record, step) in
            [(&self.init, Step::Init), (&self.finalize, Step::Finalize), (&self.update, Step::Update)]
        {
            award(f, record, record.of(step))?;
        }
        let (ledger, postgres) = self.held.ledger_us();
        writeln!(
            f,
            "\nThe ledger runs inside the node. With its lead held by another connection an `update` took {:.1} µs of the node; what had
piled up then took {ledger:.1} µs of the node and {postgres:.1} µs of Postgres for each entry, while no award was made.\n",
            self.held.node_us(),
        )?;
        for (when, alone) in ["before", "after"].iter().zip(&self.alone) {
            writeln!(
                f,
                "`redis-benchmark` on the same script, alone, with the same settings and connections, {when} these awards: {:.0} a second, {:.1} µs
of Redis each ({} of {} calls won points, the others met a spent token).",
                alone.per_second,
                alone.cpu_seconds_per_1000 * 1000.0,
                alone.awarded,
                alone.calls
            )?;
        }
        writeln!(f, "`finalize` over HTTP reaches {:.2} of that.", self.ratio())
    }

    fn show_pace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n### {PER_SECOND:.0} awards a second\n
Each request is due at a moment that was settled beforehand and is timed from it. \"Late\" is the generator's own part: where it is
near the times above it, the machine was crowded and the times say little of the server.\n"
        )?;
        for record in &self.paced {
            writeln!(f, "{}", record.times())?;
            show_costs(f, record)?;
        }
        let floor = &self.reads.paced;
        writeln!(
            f,
            "The same pace at a bare handler that returns the board: what the machine and the generator alone make of it.\n"
        )?;
        writeln!(f, "{}", floor.record.times())?;
        writeln!(
            f,
            "CPU for a request: bare handler {:.1} µs, generator {:.1} µs.\n",
            floor.server_us, floor.generator_us
        )?;
        writeln!(f, "![actions](plots/actions.svg)\n![game](plots/game.svg)")
    }

    fn show_reads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((bare, ours), (bare_us, ours_us)) = (self.reads.per_second(), self.reads.server_us());
        writeln!(
            f,
            "\n### Reads\n
`GET /api/v1/scores/leaderboard` beside a bare axum handler in a process of its own that returns the same bytes under the same headers, in
turn, {} rounds of each; {} connections. The generator takes {:.1} µs for each at the bare one.\n",
            self.reads.rounds.len(),
            crate::CONNECTIONS,
            self.reads.generator_us()
        )?;
        writeln!(f, "| | per second | CPU µs of the server |\n|---|--:|--:|")?;
        writeln!(f, "| bare | {bare:.0} | {bare_us:.1} |\n| Laurel | {ours:.0} | {ours_us:.1} |")?;
        writeln!(f, "| ratio, the median of the rounds | {:.2} | |\n\nOwn rank:\n", self.reads.ratio())?;
        writeln!(f, "{}", self.rank.times())?;
        show_costs(f, &self.rank)
    }

    fn show_listeners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### Listeners\n
The leader wins awards at a steady pace; each changes the board. Listeners are WebSocket, Socket.IO and SSE in equal parts.\n"
        )?;
        writeln!(f, "{}", self.sockets.times())?;
        show_costs(f, &self.sockets)?;
        let steps = Flow::Mixed.steps();
        let share = |step| steps.iter().filter(|it| **it == step).count() as f64 / steps.len() as f64 * 100.0;
        writeln!(
            f,
            "### Mixed\n
{MIXED_PER_SECOND:.0} requests a second beside as many listeners: {:.0} % boards, {:.0} % own ranks, {:.0} % game updates, {:.0} % `init` and as many `finalize`;
each player's session has a start and an end.\n",
            share(Step::Board),
            share(Step::Rank),
            share(Step::Update),
            share(Step::Init)
        )?;
        writeln!(f, "{}", self.mixed.times())?;
        show_costs(f, &self.mixed)?;
        writeln!(f, "![mixed](plots/mixed.svg)")
    }
}

fn award(f: &mut fmt::Formatter<'_>, record: &Record, row: &Row) -> fmt::Result {
    let us = |part| format!("{:.1}", record.cpu_us(part, row.count));
    let [node, redis, postgres, generator] = PARTS.map(us);
    let errors = record.errors();
    let others = record.processes.map_or(0.0, |it| it.others_percent);
    writeln!(
        f,
        "| {} | {} | {:.0} | {} | {errors} | {node} | {redis} | {postgres} | {} | {generator} | {others:.0} |",
        row.request,
        row.count,
        row.per_second,
        cells(&row.ms),
        us(Spent::served)
    )
}

/// One line for what it cost.
fn show_costs(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let Some(spent) = &record.processes else { return Ok(()) };
    let (unit, count) = record.unit();
    let parts = spent.parts().map(|(name, part)| {
        let us = part.cpu_seconds / count as f64 * 1e6;
        format!("{name} {us:.1} µs, {:.0} to {:.0} MiB", part.first_mib, part.last_mib)
    });
    writeln!(
        f,
        "CPU for a {unit}, and memory: {}. Others took {:.0} % of the machine.\n",
        parts.join("; "),
        spent.others_percent
    )
}
