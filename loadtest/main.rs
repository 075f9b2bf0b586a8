//! The load tests. `loadtest run FLOW` drives one flow of players, on a private node or any Laurel. Without a command, the standard
//! set (`make bench`) measures all flows in one run. The other parts (`make bench-NAME`) measure durability settings, floods,
//! fan-out, the number of players and boards. Each part replaces its section of `loadtest/RESULTS.md`. `loadtest instructions` counts the
//! instructions of an award.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop where it fails")]

mod boards;
mod client;
mod drive;
mod durability;
mod epoll;
mod fanout;
mod flood;
mod growth;
mod instructions;
mod leader_lock;
mod results;
mod server;
mod standard;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Concurrent requests.
const CONNECTIONS: usize = 64;

/// Measures Laurel. Without a command: runs the standard set and writes its results.
#[derive(Parser)]
#[command(name = "loadtest")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Drive one flow, on a private node or any Laurel that already runs
    Run(drive::command::Arguments),
    /// Measure each durability setting
    Durability,
    /// Measure honest players while hostile clients flood a node
    Flood,
    /// Measure a changed board on its way to up to 100,000 sockets
    Fanout(FanoutOptions),
    /// Measure the same requests with ten thousand, a million and ten million players
    Growth {
        /// Numbers of players; with others than these nothing is written
        #[arg(long, value_delimiter = ',', default_values_t = growth::PLAYERS)]
        players: Vec<u64>,
    },
    /// Measure boards with a million players
    Boards {
        /// Number of players; with another than this nothing is written
        #[arg(long, default_value_t = boards::PLAYERS)]
        players: u64,
    },
    /// Count the instructions of an award under valgrind; fails if they exceed the committed counts
    Instructions {
        /// Replace the committed counts
        #[arg(long)]
        update: bool,
    },
    /// Serve one response that a file holds: the baseline of board reads
    #[command(hide = true)]
    BareHandler { file: PathBuf },
    /// Run clients on behalf of the fan-out test
    #[command(hide = true)]
    FanoutWorker(fanout::worker::Arguments),
}

#[derive(Args)]
struct FanoutOptions {
    /// Share of the clients; below 1 nothing is written
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// One protocol alone, such as sse; nothing is written
    #[arg(long)]
    only: Option<String>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match Cli::parse().command {
        Some(Command::Run(arguments)) => runtime.block_on(drive::command::run(&arguments)),
        Some(Command::Instructions { update }) => runtime.block_on(instructions::run(update)),
        Some(Command::BareHandler { file }) => drive::bare_handler::serve(&file),
        Some(Command::FanoutWorker(arguments)) => fanout::worker::run(&arguments),
        None => write(standard::HEADING, &runtime.block_on(standard::measure()).to_string()),
        Some(Command::Durability) => {
            write(durability::HEADING, &runtime.block_on(durability::measure()).to_string());
        }
        Some(Command::Flood) => write(flood::HEADING, &runtime.block_on(flood::measure()).to_string()),
        Some(Command::Growth { players }) => {
            let section = runtime.block_on(growth::measure(&players)).to_string();
            write_if(players == growth::PLAYERS, growth::HEADING, &section);
        }
        Some(Command::Boards { players }) => {
            let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let section = threads.unwrap().block_on(boards::measure(players)).to_string();
            write_if(players == boards::PLAYERS, boards::HEADING, &section);
        }
        Some(Command::Fanout(options)) => {
            let section = runtime.block_on(fanout::measure(&options)).to_string();
            write_if(options.scale == 1.0 && options.only.is_none(), fanout::HEADING, &section);
        }
    }
}

fn write(heading: &str, section: &str) {
    write_if(true, heading, section);
}

/// Prints a section, and writes it into the results unless the run was only a trial.
fn write_if(is_whole: bool, heading: &str, section: &str) {
    println!("{section}");
    if is_whole {
        results::replace_section(heading, section);
    }
}

/// Waits until a condition holds. Checks every 50 ms.
pub async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
