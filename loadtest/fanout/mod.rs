//! A changed board on its way to many sockets, measured from outside: nodes that share their stores, clients in processes of
//! their own, and beside them what the kernel alone takes to send as much. `storms` ends nodes under their clients.

mod awards;
pub mod client;
mod crew;
mod floor;
mod leader;
mod nodes;
pub mod orders;
pub mod poll;
mod report;
mod row;
pub mod storms;
mod storms_report;
pub mod tally;
mod wire;
pub mod worker;

use std::time::Duration;

use crate::server::Server;
use floor::Floor;
use leader::Leader;
use orders::Protocol;
pub use report::HEADING;
use row::Row;

/// Between a board that all have and the next change: beyond the least time between two publications.
const PAUSE: Duration = Duration::from_millis(150);
/// What a handshake needs beside its socket is given back by then.
const SETTLE: Duration = Duration::from_secs(3);

/// What is measured of it.
pub struct Options {
    /// A part of the clients, to try the measuring itself.
    pub scale: f64,
    /// One protocol alone.
    pub only: Option<String>,
}

impl Options {
    /// `--scale 0.01`, `--only sse`.
    pub fn read(arguments: &[String]) -> Self {
        let after = |name: &str| {
            arguments.iter().position(|it| it == name).map(|it| arguments.get(it + 1).expect(name).clone())
        };
        Self {
            scale: after("--scale").map_or(1.0, |it| it.parse().expect("a number")),
            only: after("--only"),
        }
    }

    /// Whether it is what the results show.
    pub fn is_whole(&self) -> bool {
        self.scale == 1.0 && self.only.is_none()
    }

    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(20)
    }
}

struct Scenario {
    protocol: Protocol,
    clients: usize,
    nodes: usize,
    changes: usize,
}

/// Changes of the board, so that there are enough deliveries to count their CPU, and few enough to be done soon.
const FEW_CLIENTS: (usize, usize) = (1_000, 100);
const CLIENTS: (usize, usize) = (5_000, 40);
const MANY_CLIENTS: (usize, usize) = (15_000, 30);
/// A process has 20,000 files, so a node cannot have them all.
const MOST_CLIENTS: (usize, usize) = (100_200, 12);
const MOST_NODES: usize = 6;

fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for protocol in [Protocol::WebSocket, Protocol::SocketIo] {
        for (clients, changes) in [FEW_CLIENTS, CLIENTS, MANY_CLIENTS] {
            scenarios.push(Scenario { protocol, clients, nodes: 1, changes });
        }
    }
    for (clients, changes) in [FEW_CLIENTS, CLIENTS] {
        scenarios.push(Scenario { protocol: Protocol::Events, clients, nodes: 1, changes });
    }
    for protocol in [Protocol::WebSocket, Protocol::SocketIo] {
        let (clients, changes) = MOST_CLIENTS;
        scenarios.push(Scenario { protocol, clients, nodes: MOST_NODES, changes });
    }
    scenarios
}

/// Everything that was measured.
pub struct Fanout {
    floors: Vec<Floor>,
    rows: Vec<Row>,
    verified: String,
}

pub async fn measure(options: &Options) -> Fanout {
    let home = Server::start(options.scaled(MOST_CLIENTS.0), &nodes::settings());
    let leader = Leader::find(&home).await;
    let mut floors = Vec::new();
    for (clients, changes) in [FEW_CLIENTS, CLIENTS, MANY_CLIENTS] {
        let clients = options.scaled(clients);
        floors.push(
            floor::measure(clients, changes, &home.logins_file(), &leader::rows(&home.address).await).await,
        );
    }
    let mut rows = Vec::new();
    for scenario in scenarios() {
        let name = scenario.protocol.name();
        if options.only.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(name)) {
            let scenario = Scenario { clients: options.scaled(scenario.clients), ..scenario };
            let row = row::measure(&home, &leader, &scenario).await;
            println!("{}", row.line(&floors));
            rows.push(row);
        }
    }
    home.wait_until_written().await;
    Fanout { floors, rows, verified: home.verify() }
}

/// Microseconds since the Unix epoch: what boards' versions are, by Redis' clock, which is this machine's.
#[allow(clippy::disallowed_methods, reason = "what is measured is told by the wall clock")]
fn now_us() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64
}
