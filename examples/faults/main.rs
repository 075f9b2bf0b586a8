//! The fault suite: players on several nodes, everything that can fail fails, in an order that a seed decides; after each round the
//! record of all requests and answers is held against both stores.
//!
//! `make faults`, or `faults --rounds N --seed S --users U --nodes K` (`--help` has the others). A round that does not hold
//! says the seed, what is wrong and where the folder is, and ends the suite with 1.

#![allow(clippy::unwrap_used, reason = "a suite that cannot go on should stop where it stands")]

mod check;
mod dice;
mod disk;
mod fault;
mod flows;
mod history;
mod judge;
mod ledger;
mod load;
mod node;
mod proxy;
mod report;
mod signal;
mod stores;
mod watch;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use futures::future::join_all;

use check::Checker;
use dice::Dice;
use disk::Disk;
use fault::{Deck, Fault, Kind};
use flows::Player;
use history::History;
use load::Load;
use report::Report;
use watch::Shown;
use world::World;

/// Faults in random order under load, and what holds afterwards.
#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Decides the faults' kinds, order, targets and lengths; another one each time if left out
    #[arg(long, default_value_t = rand::random_range(0..1_000_000))]
    seed: u64,
    #[arg(long, default_value_t = 300)]
    users: usize,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    nodes: u8,
    /// Redis' appendfsync; with everysec a killed Redis may lose a second
    #[arg(long, default_value = "always")]
    fsync: String,
    /// Faults in a round; one to three if left out
    #[arg(long)]
    faults: Option<u64>,
    /// Only these, such as roll,kill-redis; all if left out
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Go on after a round that does not hold
    #[arg(long)]
    keep_going: bool,
    /// Where everything is kept; a temporary folder if left out
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// How long players play at least.
const LOAD: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
    let folder = options
        .folder
        .clone()
        .unwrap_or_else(|| tempfile::Builder::new().prefix("laurel-faults").tempdir().unwrap().keep());
    println!("seed {}, {} rounds, in {}", options.seed, options.rounds, folder.display());
    let disk = Disk::prepare(&folder.join("p/postgres"));
    println!("a full disk is {}", disk.kind());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let held = runtime.block_on(async {
        tokio::select! {
            held = Suite::run(&options, &folder, &disk) => held,
            // What is paused goes on when the suite is dropped, and ends with it.
            _ = tokio::signal::ctrl_c() => false,
        }
    });
    drop(runtime);
    disk.end(held);
    if held {
        let _ = std::fs::remove_dir_all(&folder);
        return ExitCode::SUCCESS;
    }
    println!("seed {}; logs and data are in {}", options.seed, folder.display());
    ExitCode::FAILURE
}

struct Suite<'a> {
    world: World<'a>,
    players: Vec<Arc<Player>>,
    history: Arc<History>,
    shown: Arc<Shown>,
    checker: Checker,
    report: Report,
    fsync_always: bool,
}

impl<'a> Suite<'a> {
    /// All rounds; whether all held.
    async fn run(options: &Options, folder: &std::path::Path, disk: &'a Disk) -> bool {
        let world = World::start(folder, disk, options.nodes.into(), &options.fsync).await;
        world.recover().await.unwrap();
        let players: Vec<_> = world.players(options.users).await.into_iter().map(Arc::new).collect();
        let (history, shown) = (Arc::new(History::new()), Arc::new(Shown::default()));
        let logins: Vec<String> = players.iter().map(|it| it.login.clone()).collect();
        watch::start(&world.bases, &logins, &shown, &history);
        let (checker, report) = (Checker::default(), Report::default());
        let fsync_always = options.fsync == "always";
        let mut suite = Self { world, players, history, shown, checker, report, fsync_always };
        let mut deck = Deck::new(options.seed, &options.kinds);
        let mut held = true;
        for round in 1..=options.rounds {
            let faults = deck.deal(options.faults, options.nodes.into());
            held &= suite.round(options.seed, round, &faults).await;
            if !held && !options.keep_going {
                break;
            }
        }
        suite.report.not_issued = suite.history.not_issued.lock().0;
        suite.report.requests = suite.history.requests.load(Ordering::Relaxed);
        suite.report.acknowledged = suite.history.acknowledged.load(Ordering::Relaxed);
        suite.report.boards = suite.shown.boards.load(Ordering::Relaxed);
        suite.report.older_elsewhere = suite.shown.older_elsewhere.load(Ordering::Relaxed);
        let log = std::fs::read_to_string(folder.join("p/postgres.log")).unwrap_or_default();
        let no_room = |line: &&str| line.contains("No space left") || line.contains("File too large");
        suite.report.unwritten = log.lines().filter(no_room).count() as u64;
        println!("\n{}", suite.report);
        held
    }

    async fn round(&mut self, seed: u64, round: u64, faults: &[Fault]) -> bool {
        let told: Vec<String> = faults.iter().map(tell).collect();
        println!("round {round}: {}", told.join("; "));
        let load = Arc::new(Load {
            client: self.world.client.clone(),
            bases: self.world.bases.clone(),
            pause: Duration::ZERO,
            history: self.history.clone(),
            stop: AtomicBool::new(false),
        });
        let play = |(turn, it): (usize, &Arc<Player>)| {
            tokio::spawn(load.clone().play(it.clone(), Dice::new(seed, round, turn as u64 + 1)))
        };
        let playing: Vec<_> = self.players.iter().enumerate().map(play).collect();
        let (world, seq) = (&self.world, self.checker.judge.seq);
        let happen = faults.iter().map(|it| it.happen(world, &self.history, self.fsync_always, seq));
        let (losses, ()) = tokio::join!(join_all(happen), tokio::time::sleep(LOAD));
        self.world.heal().await;
        let recovery = self.world.recover().await;
        load.stop.store(true, Ordering::Relaxed);
        let recovery = match recovery {
            Ok(recovery) => recovery,
            Err(hangs) => {
                println!("  WRONG: {hangs}");
                return false;
            }
        };
        for player in playing {
            player.await.unwrap();
        }
        let losses: Vec<_> = losses.into_iter().flatten().collect();
        let outcome = self.checker.check(&self.world, &self.history, &losses, &self.shown).await;
        self.report.add(faults, recovery, &outcome);
        println!("  recovered in {:.1} s; {outcome:?}", recovery.as_secs_f64());
        let wrong = std::mem::take(&mut self.checker.judge.wrong);
        for wrong in &wrong {
            println!("  WRONG: {wrong}");
        }
        wrong.is_empty()
    }
}

fn tell(fault: &Fault) -> String {
    let whom = fault.node.map_or("everybody".into(), |it| format!("node {it}"));
    format!(
        "{:?} ({whom}) at {:.1} s for {:.1} s",
        fault.kind,
        fault.after.as_secs_f64(),
        fault.lasts.as_secs_f64()
    )
}
