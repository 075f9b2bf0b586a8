//! Measurements, as code. `loadtest run FLOW` drives one flow of players, on a private node or any Laurel; the standard set
//! (`make bench`) does all of them in one run and holds them against the targets; the other parts (`make bench-` and a
//! name) measure what else there is: what each promise of durability costs, how far the ledger is behind, honest players while
//! hostile clients flood the node, a board on its way to 100,000 sockets, nodes that end under theirs, what metrics and traces cost,
//! what operators ask over a ledger of ten million entries, a browser that opens the page, what it costs that the board is split,
//! what the number of players does to a request, and an hour to a node. Each writes its part of `loadtest/RESULTS.md` and leaves the
//! others as they are. `loadtest instructions` counts the instructions of an award.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop where it fails")]

mod analytics;
mod cpu;
mod drive;
mod durability;
mod fanout;
mod flood;
mod flood_report;
mod growth;
mod hostile;
mod http;
mod instructions;
mod lead;
mod ledger;
mod metrics;
mod page;
mod phase;
mod players;
mod report;
mod script;
mod server;
mod session;
mod shards;
mod soak;
mod standard;
mod traces;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use fanout::{Options, storms};

const RESULTS: &str = "loadtest/RESULTS.md";
/// Requests under way at once.
const CONNECTIONS: usize = 64;

/// Measures Laurel: without a command, the standard set, which is written into the results
#[derive(Parser)]
#[command(name = "loadtest")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Drive one flow, on a private node or any Laurel that runs already
    Run(drive::command::Arguments),
    /// Return one answer, kept in a file: what the board is measured beside
    #[command(hide = true)]
    Bare { file: PathBuf },
    /// Count the instructions of an award under valgrind, and fail where they are more than were kept
    Instructions {
        /// Keep what is counted
        #[arg(long)]
        update: bool,
    },
    /// One of the parts that the Makefile lists
    #[command(external_subcommand)]
    Part(Vec<String>),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some("fanout-worker") {
        return fanout::worker::run(&arguments[1..]);
    }
    let options = Options::read(&arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let part = match Cli::parse().command {
        Some(Command::Bare { file }) => return drive::bare::serve(&file),
        Some(Command::Run(arguments)) => return runtime.block_on(drive::command::run(&arguments)),
        Some(Command::Instructions { update }) => return runtime.block_on(instructions::run(update)),
        Some(Command::Part(words)) => words.into_iter().next(),
        None => None,
    };
    let results = runtime.block_on(async {
        match part.as_deref() {
            None => anew(standard::HEADING, &standard::measure().await.to_string()),
            Some("durability") => anew(durability::HEADING, &durability::measure().await.to_string()),
            Some("ledger") => anew(ledger::HEADING, &ledger::measure().await.to_string()),
            Some("growth") => anew(growth::HEADING, &growth::measure().await.to_string()),
            Some("flood") => anew(flood_report::HEADING, &flood::measure().await.to_string()),
            Some("fanout") => anew(fanout::HEADING, &fanout::measure(&options).await.to_string()),
            Some("metrics") => anew(metrics::HEADING, &metrics::measure().await.to_string()),
            Some("storms") => anew(storms::HEADING, &storms::measure(&options).await.to_string()),
            Some("traces") => anew(traces::HEADING, &traces::measure().await.to_string()),
            Some("analytics") => anew(analytics::HEADING, &analytics::measure().await.to_string()),
            Some("soak") => anew(soak::HEADING, &soak::measure().await.to_string()),
            Some("shards") => anew(shards::HEADING, &shards::measure().await.to_string()),
            Some("page") => anew(page::HEADING, &page::measure().to_string()),
            Some(other) => panic!("there is no part {other}; the Makefile lists them"),
        }
    });
    if options.is_whole() {
        std::fs::write(RESULTS, results).unwrap();
    }
}

/// The results with one part written anew, in its place or at the end.
fn anew(heading: &str, part: &str) -> String {
    println!("{part}");
    let text = std::fs::read_to_string(RESULTS).unwrap();
    let (before, old) = text.split_once(heading).unwrap_or((&text, ""));
    let after = old.find("\n## ").map_or("", |place| &old[place + 1..]);
    [before.trim_end(), part.trim_end(), after.trim_end()].join("\n\n").trim().to_owned() + "\n"
}

/// Waits for something, looking every 50 ms.
pub async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
