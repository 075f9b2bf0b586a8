//! What was measured, as Markdown.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cpu::Cpu;
use crate::game::Game;
use crate::script::Alone;

/// One kind of request, sent as fast as it was answered.
pub struct Phase {
    pub count: usize,
    pub took: Duration,
    /// Microseconds.
    pub times: Histogram<u64>,
    pub cpu: Cpu,
}

impl Phase {
    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let per_1000 = |seconds: f64| seconds / self.count as f64 * 1000.0;
        let ms = |quantile: f64| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        writeln!(
            f,
            "| {name} | {} | {:.0} | {:.1} | {:.1} | {:.3} | {:.3} | {:.3} | {:.3} |",
            self.count,
            self.per_second(),
            ms(0.5),
            ms(0.99),
            per_1000(self.cpu.node),
            per_1000(self.cpu.redis),
            per_1000(self.cpu.postgres),
            per_1000(self.cpu.load),
        )
    }
}

pub struct Report {
    pub issued: Phase,
    pub redeemed: Phase,
    pub game: Game,
    pub alone: Alone,
    pub verified: String,
}

impl Game {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        let per_second = self.updates as f64 / self.took.as_secs_f64();
        writeln!(
            f,
            "2,000 game sessions at once (start, ten updates, end) while 1,000 Socket.IO clients listen: {per_second:.0}"
        )?;
        writeln!(
            f,
            "updates per second; each listener was told {:.0} boards in {:.1} s. An idle Socket.IO connection has",
            self.boards,
            self.took.as_secs_f64()
        )?;
        writeln!(
            f,
            "{:.1} KiB resident. From an update's request to the board at the listeners, in ms:\n",
            self.bytes_per_listener / 1024.0
        )?;
        writeln!(f, "| listener | p50 | p90 | p99 |\n|---|---|---|---|")?;
        for (name, times) in [("first", &self.first), ("last of 1,000", &self.last)] {
            writeln!(
                f,
                "| {name} | {:.1} | {:.1} | {:.1} |",
                ms(times, 0.5),
                ms(times, 0.9),
                ms(times, 0.99)
            )?;
        }
        writeln!(f)
    }
}

/// What measured it, where, and of what.
pub fn provenance(command: &str) -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    format!("Written by `{command}`; machine: {}, shared; commit {commit}.", machine())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|it| it.strip_prefix("model name")).unwrap_or("unknown");
    let cores = text.lines().filter(|it| it.starts_with("processor")).count();
    format!("{cores} × {}", model.trim_start_matches(['\t', ' ', ':']))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Results\n")?;
        writeln!(f, "{}\n", provenance("make bench"))?;
        writeln!(
            f,
            "One node, its private Redis (`appendfsync always`) and Postgres (defaults), and the load on the same"
        )?;
        writeln!(
            f,
            "machine; {} connections, each sending as soon as it is answered. CPU is in seconds for 1,000",
            crate::CONNECTIONS
        )?;
        writeln!(f, "requests and counts until the ledger has every entry.\n")?;
        writeln!(
            f,
            "| request | count | per second | p50 ms | p99 ms | CPU node | Redis | Postgres | load |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        self.issued.row(f, "`init`")?;
        self.redeemed.row(f, "`finalize` (an award)")?;
        let Alone { per_second, cpu_seconds_per_1000, awarded, calls } = &self.alone;
        writeln!(
            f,
            "\n`redis-benchmark` on the same script, alone, same settings and connections: {per_second:.0} per second,"
        )?;
        writeln!(
            f,
            "{cpu_seconds_per_1000:.3} CPU seconds for 1,000 ({awarded} of {calls} calls won points, the others met a spent token)."
        )?;
        writeln!(f, "Awards over HTTP reach {:.2} of that.\n", self.redeemed.per_second() / per_second)?;
        self.game.show(f)?;
        writeln!(f, "`laurel verify` afterwards: {}", self.verified)
    }
}
