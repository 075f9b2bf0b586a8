//! `loadtest run`: one flow on a private node, or on any Laurel.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::Args;

use super::bare_handler::board_response;
use super::flow::Flow;
use super::job::Job;
use super::players::Players;
use super::schedule::Pace;
use crate::server::{Server, UNLIMITED};

/// Default connections. The open loop needs enough that the next request finds one that does not wait for a response.
const CLOSED: usize = 64;
const OPEN: usize = 256;

#[derive(Args)]
pub struct Arguments {
    /// What the clients do
    flow: Flow,
    /// Requests a second, each with a due time that is fixed before the run; without it each connection sends as soon as it has a
    /// response
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
    /// Subscribers of the flows sockets and mixed
    #[arg(long, default_value_t = 300)]
    subscribers: usize,
    /// The top player's awards a second, each a change of the board that subscribers wait for
    #[arg(long, default_value_t = 5.0)]
    changes: f64,
    /// A running Laurel, such as http://127.0.0.1:3000; without it a private node is started
    #[arg(long, requires = "logins")]
    target: Option<String>,
    /// The logins of its players, one a line, as `laurel seed --tokens FILE` writes them
    #[arg(long)]
    logins: Option<PathBuf>,
    /// Write all numbers, and each second, to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub async fn run(arguments: &Arguments) {
    let command = std::env::args().skip(1).fold("loadtest".to_owned(), |all, word| all + " " + &word);
    let server = arguments.target.is_none().then(|| Server::start(arguments.users, UNLIMITED));
    let address = match (&server, &arguments.target) {
        (Some(server), _) => server.socket_address(),
        (None, target) => resolve(target.as_deref().unwrap_or_default()),
    };
    let logins = server.as_ref().map(Server::logins_file).or_else(|| arguments.logins.clone());
    let mut players = Players::read(&logins.expect("--target requires --logins"));
    let flow = arguments.flow;
    let has_top_player = players.move_top_player_last(&board_response(address));
    assert!(
        has_top_player || !flow.has_subscribers(),
        "no player of the board's top 10 has a login in the file"
    );
    let job = Job {
        name: &flow.name(),
        steps: flow.steps(),
        address,
        players: &players,
        server: server.as_ref(),
        pace: arguments.rate.map_or(Pace::Closed, Pace::Open),
        connections: match arguments.connections {
            _ if flow.is_top_player_only() => 0,
            Some(count) => count,
            None => if arguments.rate.is_some() { OPEN } else { CLOSED }.min(players.count() - 1),
        },
        seconds: arguments.seconds,
        max_requests: u64::MAX,
        subscribers: if flow.has_subscribers() { arguments.subscribers } else { 0 },
        changes: arguments.changes,
        includes_ledger: true,
        command: &command,
    };
    job.warm_up().await;
    let record = job.measure().await;
    println!("{record}");
    if let Some(server) = &server {
        println!("`laurel verify` afterwards: {}", server.verify());
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&record).unwrap() + "\n").unwrap();
    }
}

/// Resolves `http://host:port`, with or without the scheme.
fn resolve(target: &str) -> SocketAddr {
    assert!(
        !target.starts_with("https:"),
        "the generator uses plain HTTP: measure behind the TLS terminator"
    );
    let authority = target.trim_start_matches("http://").trim_end_matches('/');
    let found = authority.to_socket_addrs().or_else(|_| (authority, 80).to_socket_addrs());
    let mut found = found.unwrap_or_else(|error| panic!("{target}: {error}"));
    found.find(SocketAddr::is_ipv4).unwrap_or_else(|| panic!("{target} has no IPv4 address"))
}
