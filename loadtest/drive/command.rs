//! `loadtest run`: one flow against a private node, or against any Laurel.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::bare;
use super::engine::Engine;
use super::hoard::Hoard;
use super::plan::Plan;
use super::players::Players;
use super::plot;
use super::program::Flow;
use super::record::{Asked, Record};
use super::spent::Meter;
use super::step::Step;
use super::tally::Second;
use super::turns::{Group, Pace};
use crate::cpu;
use crate::server::{Server, UNLIMITED};

/// Connections by default: in the open loop there have to be so many that the next request finds one that is not waiting.
const CLOSED: usize = 64;
const OPEN: usize = 256;
/// Before what is measured, in seconds: pools, caches and the leader's lead come to be.
const WARM_UP: f64 = 1.0;
/// The leader's awards a second meanwhile, so that nobody is near.
const HURRY: f64 = 200.0;

#[derive(Args)]
pub struct Arguments {
    /// What the clients do
    flow: Flow,
    /// Requests a second, due at moments that are settled beforehand; without it each connection sends as soon as it is answered
    #[arg(long)]
    rate: Option<f64>,
    /// Connections [default: 64, or 256 with --rate]
    #[arg(long)]
    connections: Option<usize>,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Players of the private node
    #[arg(long, default_value_t = 10_000)]
    users: usize,
    /// Listeners, for the flows sockets and mixed
    #[arg(long, default_value_t = 300)]
    listeners: usize,
    /// The leader's awards a second, each a change of the board that listeners wait for
    #[arg(long, default_value_t = 5.0)]
    changes: f64,
    /// A Laurel that runs already, such as http://127.0.0.1:3000; without it a private node is started
    #[arg(long, requires = "logins")]
    target: Option<String>,
    /// The logins of its players, one a line, as `laurel seed --tokens FILE` writes them
    #[arg(long)]
    logins: Option<PathBuf>,
    /// Write all numbers to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a plot, second by second, to this file
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// One run.
pub struct Job<'a> {
    pub name: &'a str,
    pub steps: Vec<Step>,
    pub address: SocketAddr,
    pub players: &'a Players,
    /// None: it is not ours, so nothing is known of its processes.
    pub server: Option<&'a Server>,
    pub pace: Pace,
    pub connections: usize,
    pub seconds: f64,
    /// It ends before, when so many were sent.
    pub requests: u64,
    pub listeners: usize,
    pub changes: f64,
    /// Whether the ledger's work on the awards is waited for, and so counted; it cannot be while somebody holds the ledger.
    pub drains: bool,
    pub command: &'a str,
}

pub async fn run(arguments: &Arguments) {
    let command = std::env::args().skip(1).fold("loadtest".to_owned(), |all, it| all + " " + &it);
    let server = arguments.target.is_none().then(|| Server::start(arguments.users, UNLIMITED));
    let address = match (&server, &arguments.target) {
        (Some(server), _) => server.socket_address(),
        (None, target) => resolve(target.as_deref().unwrap_or_default()),
    };
    let logins = server.as_ref().map(Server::logins_file).or_else(|| arguments.logins.clone());
    let mut players = Players::read(&logins.expect("a target comes with its logins"));
    let flow = arguments.flow;
    let leads = players.put_last(&bare::board(address));
    assert!(leads || !flow.has_listeners(), "none of the board's ten has a login in the file");
    let job = Job {
        name: flow.name(),
        steps: flow.steps(),
        address,
        players: &players,
        server: server.as_ref(),
        pace: arguments.rate.map_or(Pace::Closed, Pace::Open),
        connections: match arguments.connections {
            _ if flow.is_the_leaders() => 0,
            Some(count) => count,
            None => if arguments.rate.is_some() { OPEN } else { CLOSED }.min(players.count() - 1),
        },
        seconds: arguments.seconds,
        requests: u64::MAX,
        listeners: if flow.has_listeners() { arguments.listeners } else { 0 },
        changes: arguments.changes,
        drains: true,
        command: &command,
    };
    job.warm_up().await;
    let record = job.measure(&mut Hoard::default()).await;
    println!("{record}");
    if let Some(server) = &server {
        println!("`laurel verify` afterwards: {}", server.verify());
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&record).unwrap() + "\n").unwrap();
    }
    if let Some(file) = &arguments.svg {
        std::fs::write(file, plot::draw(&record)).unwrap();
    }
}

impl Job<'_> {
    /// Goes through the flow for a moment, and lets the leader take a lead.
    pub async fn warm_up(&self) {
        if self.listeners > 0 {
            self.send(Pace::Closed, 0, Some(HURRY), &mut Hoard::default());
        }
        if self.connections > 0 {
            self.send(self.pace, self.connections, None, &mut Hoard::default());
        }
        if let Some(server) = self.server {
            server.wait_until_written().await;
        }
    }

    fn send(&self, pace: Pace, lanes: usize, leader: Option<f64>, hoard: &mut Hoard) {
        let crowd = Group { steps: self.steps.clone(), lanes, pace };
        let plan = Plan {
            address: self.address,
            players: self.players,
            crowd,
            leader,
            listeners: 0,
            seconds: WARM_UP,
            requests: u64::MAX,
        };
        Engine::new(plan, hoard).run(|_| ());
    }

    /// Goes through it. What a private node's processes used is counted until the ledger has every award.
    pub async fn measure(&self, hoard: &mut Hoard) -> Record {
        let crowd = Group { steps: self.steps.clone(), lanes: self.connections, pace: self.pace };
        let plan = Plan {
            address: self.address,
            players: self.players,
            crowd,
            leader: (self.listeners > 0).then_some(self.changes),
            listeners: self.listeners,
            seconds: self.seconds,
            requests: self.requests,
        };
        let engine = Engine::new(plan, hoard);
        let meter = self.server.map(Meter::begin);
        let bar = bar(self.name, self.seconds);
        let own = cpu::of_this_thread();
        let (tally, audience) = engine.run(|second| tell(&bar, second));
        let own = cpu::of_this_thread() - own;
        bar.finish_and_clear();
        if let Some(server) = self.server
            && self.drains
            && tally.awards() > 0
        {
            server.wait_until_written().await;
        }
        let asked = Asked {
            command: self.command.to_owned(),
            flow: self.name.to_owned(),
            connections: self.connections,
            rate: match self.pace {
                Pace::Closed => None,
                Pace::Open(per_second) => Some(per_second),
            },
        };
        Record::new(asked, &tally, audience, meter.map(|it| it.end(own)))
    }
}

fn bar(name: &str, seconds: f64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} s  {msg}");
    ProgressBar::new(seconds.ceil() as u64)
        .with_prefix(name.to_owned())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn tell(bar: &ProgressBar, second: &Second) {
    let Second { answers, errors, p99_ms, .. } = second;
    bar.set_message(format!("{answers}/s, p99 {p99_ms:.1} ms, {errors} errors"));
    bar.inc(1);
}

/// `http://host:port`, or without the scheme.
fn resolve(target: &str) -> SocketAddr {
    assert!(!target.starts_with("https:"), "the generator speaks plain HTTP: measure behind what ends TLS");
    let authority = target.trim_start_matches("http://").trim_end_matches('/');
    let found = authority.to_socket_addrs().or_else(|_| (authority, 80).to_socket_addrs());
    let mut found = found.unwrap_or_else(|error| panic!("{target}: {error}"));
    found.find(SocketAddr::is_ipv4).unwrap_or_else(|| panic!("{target} has no IPv4 address"))
}
