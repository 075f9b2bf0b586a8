//! The fault suite: players on several nodes, while a seed decides which faults happen. After each round all recorded requests and
//! responses are compared with both stores.
//!
//! `make faults`, or `faults --rounds N --seed S --users U --nodes K` (`--help` lists all options). After a round with a violation the
//! suite prints the violation, the seed and the folder, and exits with 1.

#![allow(clippy::unwrap_used, reason = "a suite that cannot continue should stop where it fails")]

mod audit;
mod check;
mod deployment;
mod disk;
mod faults;
mod flows;
mod history;
mod load;
mod node;
mod proxy;
mod queries;
mod random;
mod report;
mod signal;
mod stores;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use futures::future::join_all;

use check::Checker;
use deployment::Deployment;
use disk::Disk;
use faults::{Fault, FaultGenerator, Kind};
use flows::Player;
use history::History;
use load::Load;
use random::Random;
use report::Report;
use watch::SeenBoards;

/// Injects faults in random order under load, and verifies that no acknowledged award is lost
#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Decides the faults' kinds, order, targets and durations [default: random]
    #[arg(long, default_value_t = rand::random_range(0..1_000_000))]
    seed: u64,
    #[arg(long, default_value_t = 300)]
    users: usize,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    nodes: u8,
    /// Redis' appendfsync. With everysec a killed Redis may lose a second
    #[arg(long, default_value = "always")]
    fsync: String,
    /// Faults per round [default: one to three]
    #[arg(long)]
    faults: Option<u64>,
    /// Only these kinds, such as roll,kill-redis [default: all]
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Continue after a round with a violation
    #[arg(long)]
    keep_going: bool,
    /// The folder for data and logs [default: a temporary one]
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Minimum duration of the load in a round.
const LOAD: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
    let folder = options
        .folder
        .clone()
        .unwrap_or_else(|| tempfile::Builder::new().prefix("laurel-faults").tempdir().unwrap().keep());
    println!("seed {}, {} rounds, in {}", options.seed, options.rounds, folder.display());
    let disk = Disk::prepare(&folder.join("p/postgres"));
    println!("full disk: {}", disk.kind());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_success = runtime.block_on(async {
        tokio::select! {
            is_success = Suite::run(&options, &folder, &disk) => is_success,
            // Dropping the suite resumes and ends paused processes.
            _ = tokio::signal::ctrl_c() => false,
        }
    });
    drop(runtime);
    disk.unmount(is_success);
    if is_success {
        let _ = std::fs::remove_dir_all(&folder);
        return ExitCode::SUCCESS;
    }
    println!("seed {}; logs and data are in {}", options.seed, folder.display());
    ExitCode::FAILURE
}

struct Suite<'a> {
    deployment: Deployment<'a>,
    players: Vec<Arc<Player>>,
    history: Arc<History>,
    seen: Arc<SeenBoards>,
    checker: Checker,
    report: Report,
    fsync_always: bool,
}

impl<'a> Suite<'a> {
    /// Runs all rounds. Returns whether there was no violation.
    async fn run(options: &Options, folder: &std::path::Path, disk: &'a Disk) -> bool {
        let deployment = Deployment::start(folder, disk, options.nodes.into(), &options.fsync).await;
        deployment.recover().await.unwrap();
        let players: Vec<_> = deployment.players(options.users).await.into_iter().map(Arc::new).collect();
        let (history, seen) = (Arc::new(History::new()), Arc::new(SeenBoards::default()));
        let logins: Vec<String> = players.iter().map(|player| player.login.clone()).collect();
        watch::start(&deployment.bases, &logins, &seen, &history);
        let (checker, report) = (Checker::default(), Report::default());
        let fsync_always = options.fsync == "always";
        let mut suite = Self { deployment, players, history, seen, checker, report, fsync_always };
        let mut generator = FaultGenerator::new(options.seed, &options.kinds);
        let mut is_success = true;
        for round in 1..=options.rounds {
            let faults = generator.next_round(options.faults, options.nodes.into());
            is_success &= suite.round(options.seed, round, &faults).await;
            if !is_success && !options.keep_going {
                break;
            }
        }
        suite.report.not_issued = suite.history.not_issued.lock().0;
        suite.report.requests = suite.history.requests.load(Ordering::Relaxed);
        suite.report.acknowledged = suite.history.acknowledged.load(Ordering::Relaxed);
        suite.report.boards = suite.seen.boards.load(Ordering::Relaxed);
        suite.report.older_on_other_node = suite.seen.older_on_other_node.load(Ordering::Relaxed);
        let log = std::fs::read_to_string(folder.join("p/postgres.log")).unwrap_or_default();
        let is_disk_full = |line: &&str| line.contains("No space left") || line.contains("File too large");
        suite.report.disk_full_errors = log.lines().filter(is_disk_full).count() as u64;
        println!("\n{}", suite.report);
        is_success
    }

    async fn round(&mut self, seed: u64, round: u64, faults: &[Fault]) -> bool {
        let descriptions: Vec<String> = faults.iter().map(describe).collect();
        println!("round {round}: {}", descriptions.join("; "));
        let load = Arc::new(Load {
            client: self.deployment.client.clone(),
            bases: self.deployment.bases.clone(),
            pause: Duration::ZERO,
            history: self.history.clone(),
            stop: AtomicBool::new(false),
        });
        let play = |(place, player): (usize, &Arc<Player>)| {
            tokio::spawn(load.clone().play(player.clone(), Random::new(seed, round, place as u64 + 1)))
        };
        let playing: Vec<_> = self.players.iter().enumerate().map(play).collect();
        let (deployment, seq) = (&self.deployment, self.checker.audit.seq);
        let injected =
            faults.iter().map(|fault| fault.inject(deployment, &self.history, self.fsync_always, seq));
        let (losses, ()) = tokio::join!(join_all(injected), tokio::time::sleep(LOAD));
        self.deployment.heal().await;
        let recovery = self.deployment.recover().await;
        load.stop.store(true, Ordering::Relaxed);
        let recovery = match recovery {
            Ok(recovery) => recovery,
            Err(error) => {
                println!("  VIOLATION: {error}");
                return false;
            }
        };
        for player in playing {
            player.await.unwrap();
        }
        let losses: Vec<_> = losses.into_iter().flatten().collect();
        let counts = self.checker.check(&self.deployment, &self.history, &losses, &self.seen).await;
        self.report.add(faults, recovery, &counts);
        println!("  recovered in {:.1} s; {counts:?}", recovery.as_secs_f64());
        let violations = std::mem::take(&mut self.checker.audit.violations);
        for violation in &violations {
            println!("  VIOLATION: {violation}");
        }
        violations.is_empty()
    }
}

fn describe(fault: &Fault) -> String {
    let target = fault.node.map_or("all nodes".into(), |node| format!("node {node}"));
    format!(
        "{:?} ({target}) at {:.1} s for {:.1} s",
        fault.kind,
        fault.starts_after.as_secs_f64(),
        fault.duration.as_secs_f64()
    )
}
