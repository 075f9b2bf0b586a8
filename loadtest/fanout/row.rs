//! One scenario: fresh nodes, so many clients, isolated changes of the board.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::crew::{Counted, Crew};
use super::leader::{self, Leader};
use super::nodes::Node;
use super::orders::Protocol;
use super::{PAUSE, SETTLE, Scenario};
use crate::cpu::Cpu;
use crate::server::{self, Server};

/// The first clients let a node touch what it needs once: they are not counted in bytes and in the pace.
const FIRST: usize = 100;
/// How long the nodes' CPU at rest is measured.
const REST: Duration = Duration::from_secs(10);

pub struct Row {
    pub protocol: Protocol,
    pub clients: usize,
    pub nodes: usize,
    pub connected_per_second: f64,
    /// Handshakes that were refused and made again.
    pub refused: u64,
    /// Resident bytes of the nodes for each client: before any change of the board, and after all.
    pub idle_bytes: f64,
    pub used_bytes: f64,
    /// CPU microseconds for each delivery, of the nodes beyond what they take at rest, and of the workers.
    pub node_us: f64,
    pub client_us: f64,
    /// Microseconds from a change to a client, and to the last client that had it.
    pub times: Histogram<u64>,
    pub lasts: Vec<u64>,
    /// The part of the machine's cores that others used during the changes.
    pub others: f64,
}

/// The nodes of a row and their clients, who end first: none of them may lose its node.
struct Stage<'a> {
    home: &'a Server,
    crew: Crew,
    nodes: Vec<Node>,
}

/// Isolated changes of the board.
struct Changes {
    counted: Counted,
    lasts: Vec<u64>,
    /// CPU seconds of the nodes, the workers, and of others.
    node: f64,
    client: f64,
    others: f64,
    took: Duration,
}

pub async fn measure(home: &Server, leader: &Leader, scenario: &Scenario) -> Row {
    let nodes: Vec<Node> = (0..scenario.nodes).map(|it| Node::join(home, &format!("n{it}"))).collect();
    let addresses: Vec<_> = nodes.iter().map(|it| server::socket_address(&it.address)).collect();
    let each = scenario.clients / nodes.len();
    let first = FIRST.min(each / 2);
    let later = ((each - first) * nodes.len()) as f64;
    let mut stage = Stage { home, crew: Crew::start(nodes.len(), &home.logins_file(), each), nodes };
    stage.crew.connect(scenario.protocol, first, &addresses).await;
    tokio::time::sleep(SETTLE).await;

    let (before, started) = (stage.resident_bytes(), Instant::now());
    stage.crew.connect(scenario.protocol, each - first, &addresses).await;
    let connected_per_second = later / started.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let idle_bytes = (stage.resident_bytes() - before) / later;
    let at_rest = stage.cpu();
    tokio::time::sleep(REST).await;
    let at_rest = (stage.cpu() - at_rest) / REST.as_secs_f64();

    let refused = stage.crew.counted().await.refused;
    let changes = stage.change(leader, scenario.changes).await;
    let took = changes.took.as_secs_f64();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let share = 1e6 / changes.counted.deliveries as f64;
    Row {
        protocol: scenario.protocol,
        clients: each * stage.nodes.len(),
        nodes: stage.nodes.len(),
        connected_per_second,
        refused,
        idle_bytes,
        used_bytes: (stage.resident_bytes() - before) / later,
        node_us: (changes.node - at_rest * took) * share,
        client_us: changes.client * share,
        times: changes.counted.times,
        lasts: changes.lasts,
        others: changes.others / cores / took,
    }
}

impl Stage<'_> {
    /// Lets the leader win awards, each when all have the board of the last.
    async fn change(&mut self, leader: &Leader, changes: usize) -> Changes {
        let address = &self.nodes[0].address;
        let mut session = leader.play(address).await;
        let (mut lasts, started) = (Vec::with_capacity(changes), Instant::now());
        let (machine, node, client) = (Cpu::of(self.home), self.cpu(), self.crew.cpu());
        for _ in 0..changes {
            assert!(session.win("watch_ad").await, "the leader's award is not refused");
            lasts.push(self.crew.has(leader::version(address).await).await);
            tokio::time::sleep(PAUSE).await;
        }
        let took = started.elapsed();
        let (node, client) = (self.cpu() - node, self.crew.cpu() - client);
        let others = Cpu::of(self.home).since(&machine).others() - node - client;
        Changes { counted: self.crew.counted().await, lasts, node, client, others, took }
    }

    fn resident_bytes(&self) -> f64 {
        self.nodes.iter().map(Node::resident_bytes).sum()
    }

    fn cpu(&self) -> f64 {
        self.nodes.iter().map(Node::cpu).sum()
    }
}
