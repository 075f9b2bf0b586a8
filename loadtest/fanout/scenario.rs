//! One scenario: new nodes, a number of clients, and isolated changes of the board by the top player.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::Value;

use super::messages::Protocol;
use super::nodes::Node;
use super::workers::{Totals, Workers};
use super::{PAUSE, SETTLE, Scenario};
use crate::client::{Connection, Session};
use crate::drive::bare_handler::board_response;
use crate::drive::players::Players;
use crate::server::{self, Server};
use crate::usage::{Cpu, share_of_machine};

/// With the first clients a node allocates what it needs once. They are not counted in bytes and handshakes.
const FIRST: usize = 100;
/// How long the nodes' idle CPU is measured.
const IDLE: Duration = Duration::from_secs(10);

pub struct Row {
    pub protocol: Protocol,
    pub clients: usize,
    pub nodes: usize,
    pub connected_per_second: f64,
    /// Refused handshakes.
    pub refused: u64,
    /// Resident bytes of the nodes per client: before any change of the board, and after all.
    pub idle_bytes: f64,
    pub used_bytes: f64,
    /// CPU µs per delivery, of the nodes without their idle CPU, and of the workers.
    pub node_us: f64,
    pub client_us: f64,
    /// Microseconds from a change to a client, and to the last client.
    pub times: Histogram<u64>,
    pub last_us: Vec<u64>,
    /// Share of the machine that other programs took during the changes, 0 to 1.
    pub others: f64,
}

/// The nodes and their clients. The workers are dropped first: no client may lose its node.
struct Stage<'a> {
    stores: &'a Server,
    workers: Workers,
    nodes: Vec<Node>,
}

/// What was measured during the changes.
struct Changes {
    totals: Totals,
    last_us: Vec<u64>,
    node_seconds: f64,
    client_seconds: f64,
    others_seconds: f64,
    took_s: f64,
}

pub async fn measure(stores: &Server, top_player: &str, scenario: &Scenario) -> Row {
    let nodes: Vec<Node> =
        (0..scenario.nodes).map(|place| Node::start(stores, &format!("n{place}"))).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| server::socket_address(&node.address)).collect();
    let each = scenario.clients / nodes.len();
    let first = FIRST.min(each / 2);
    let counted = ((each - first) * nodes.len()) as f64;
    let workers = Workers::start(nodes.len(), &stores.logins_file(), each);
    let mut stage = Stage { stores, workers, nodes };
    stage.workers.connect(scenario.protocol, first, &addresses).await;
    tokio::time::sleep(SETTLE).await;

    let (before, started) = (stage.resident_bytes(), Instant::now());
    stage.workers.connect(scenario.protocol, each - first, &addresses).await;
    let connected_per_second = counted / started.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let idle_bytes = (stage.resident_bytes() - before) / counted;
    let idle_before = stage.cpu_seconds();
    tokio::time::sleep(IDLE).await;
    let idle_per_second = (stage.cpu_seconds() - idle_before) / IDLE.as_secs_f64();

    let refused = stage.workers.totals().await.refused;
    let changes = stage.change_board(top_player, scenario.changes).await;
    let us = 1e6 / changes.totals.deliveries as f64;
    Row {
        protocol: scenario.protocol,
        clients: each * stage.nodes.len(),
        nodes: stage.nodes.len(),
        connected_per_second,
        refused,
        idle_bytes,
        used_bytes: (stage.resident_bytes() - before) / counted,
        node_us: (changes.node_seconds - idle_per_second * changes.took_s) * us,
        client_us: changes.client_seconds * us,
        times: changes.totals.times,
        last_us: changes.last_us,
        others: share_of_machine(changes.others_seconds, changes.took_s),
    }
}

impl Stage<'_> {
    /// The top player gets awards, each once all clients have the previous board.
    async fn change_board(&mut self, top_player: &str, changes: usize) -> Changes {
        let address = &self.nodes[0].address;
        let mut session = Session::start(address, top_player).await;
        let (mut last_us, started) = (Vec::with_capacity(changes), Instant::now());
        let (machine, node, client) = (Cpu::of(self.stores), self.cpu_seconds(), self.workers.cpu_seconds());
        for _ in 0..changes {
            assert!(session.award("watch_ad").await, "the top player's award is acknowledged");
            let version = board(address).await["version"].as_u64().unwrap();
            last_us.push(self.workers.await_version(version).await);
            tokio::time::sleep(PAUSE).await;
        }
        let took_s = started.elapsed().as_secs_f64();
        let (node_seconds, client_seconds) = (self.cpu_seconds() - node, self.workers.cpu_seconds() - client);
        let others_seconds = Cpu::of(self.stores).since(&machine).others() - node_seconds - client_seconds;
        let totals = self.workers.totals().await;
        Changes { totals, last_us, node_seconds, client_seconds, others_seconds, took_s }
    }

    fn resident_bytes(&self) -> f64 {
        self.nodes.iter().map(Node::resident_bytes).sum()
    }

    fn cpu_seconds(&self) -> f64 {
        self.nodes.iter().map(Node::cpu_seconds).sum()
    }
}

/// The login of the top player.
pub fn top_player(server: &Server) -> String {
    let mut players = Players::read(&server.logins_file());
    assert!(
        players.move_top_player_last(&board_response(server.socket_address())),
        "all players have logins"
    );
    String::from_utf8_lossy(players.login(players.count() - 1)).into_owned()
}

/// The board that a node serves.
pub async fn board(address: &str) -> Value {
    let response = Connection::open(address).await.get("/api/v1/scores/leaderboard").await;
    serde_json::from_str(&response).unwrap()
}
