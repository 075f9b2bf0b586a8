//! A changed board on its way to many sockets, measured from outside: nodes that share their stores, clients in separate processes,
//! and the kernel's own cost of sending as much.

mod bare_send;
pub mod client;
pub mod deliveries;
pub mod messages;
mod nodes;
mod report;
mod scenario;
pub mod wire;
pub mod worker;
mod workers;

use std::time::Duration;

use crate::FanoutOptions;
use crate::server::Server;
use bare_send::BareSend;
use messages::Protocol;
pub use report::HEADING;
use scenario::Row;

/// From a board that all have to the next change: longer than the interval between two publications.
const PAUSE: Duration = Duration::from_millis(150);
/// By then nodes have freed what a handshake needs besides its socket.
const SETTLE: Duration = Duration::from_secs(3);

/// Clients and changes of the board: enough changes to measure the CPU of a delivery.
const FEW_CLIENTS: (usize, usize) = (1_000, 100);
const CLIENTS: (usize, usize) = (5_000, 40);
const MANY_CLIENTS: (usize, usize) = (15_000, 30);
/// A process may open 20,000 files, so one node cannot have them all.
const MOST_CLIENTS: (usize, usize) = (100_200, 12);
const MOST_NODES: usize = 6;

struct Scenario {
    protocol: Protocol,
    clients: usize,
    nodes: usize,
    changes: usize,
}

fn scenarios() -> Vec<Scenario> {
    let scenario = |protocol, nodes, (clients, changes)| Scenario { protocol, clients, nodes, changes };
    vec![
        scenario(Protocol::WebSocket, 1, FEW_CLIENTS),
        scenario(Protocol::WebSocket, 1, CLIENTS),
        scenario(Protocol::WebSocket, 1, MANY_CLIENTS),
        scenario(Protocol::SocketIo, 1, FEW_CLIENTS),
        scenario(Protocol::SocketIo, 1, CLIENTS),
        scenario(Protocol::SocketIo, 1, MANY_CLIENTS),
        scenario(Protocol::Events, 1, FEW_CLIENTS),
        scenario(Protocol::Events, 1, CLIENTS),
        scenario(Protocol::WebSocket, MOST_NODES, MOST_CLIENTS),
        scenario(Protocol::SocketIo, MOST_NODES, MOST_CLIENTS),
    ]
}

/// The results of the fan-out test.
pub struct Fanout {
    bare_sends: Vec<BareSend>,
    rows: Vec<Row>,
    verified: String,
}

pub async fn measure(options: &FanoutOptions) -> Fanout {
    let scaled = |clients: usize| ((clients as f64 * options.scale) as usize).max(20);
    let stores = Server::start(scaled(MOST_CLIENTS.0), &nodes::settings());
    let top_player = scenario::top_player(&stores);
    let board_rows = scenario::board(&stores.address).await["leaderboard"].to_string();
    let mut bare_sends = Vec::new();
    for (clients, changes) in [FEW_CLIENTS, CLIENTS, MANY_CLIENTS] {
        let logins = stores.logins_file();
        bare_sends.push(bare_send::measure(scaled(clients), changes, &logins, &board_rows).await);
    }
    let mut rows = Vec::new();
    for scenario in scenarios() {
        let name = scenario.protocol.name();
        if options.only.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(name)) {
            let scenario = Scenario { clients: scaled(scenario.clients), ..scenario };
            let row = scenario::measure(&stores, &top_player, &scenario).await;
            println!("{}", row.line(&bare_sends));
            rows.push(row);
        }
    }
    stores.wait_until_written().await;
    Fanout { bare_sends, rows, verified: stores.verify() }
}

/// Microseconds since the Unix epoch. Versions of boards are that, by the clock of Redis, which is this machine's.
#[allow(clippy::disallowed_methods, reason = "what is measured is stamped by the wall clock")]
fn now_us() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64
}
