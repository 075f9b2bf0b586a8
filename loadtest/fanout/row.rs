//! One scenario: fresh nodes, so many clients, isolated changes of the board.

use std::time::{Duration, Instant};

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
    /// Resident bytes of the nodes for each client: before any change of the board, and after all.
    pub idle_bytes: f64,
    pub used_bytes: f64,
    /// CPU microseconds for each delivery, of the nodes beyond what they take at rest, and of the workers.
    pub node_us: f64,
    pub client_us: f64,
    pub counted: Counted,
    /// Microseconds until the last client had each change.
    pub lasts: Vec<u64>,
    /// The part of the machine's cores that others used during the changes.
    pub others: f64,
}

pub async fn measure(home: &Server, leader: &Leader, scenario: &Scenario) -> Row {
    let nodes: Vec<Node> = (0..scenario.nodes).map(|it| Node::join(home, &format!("n{it}"))).collect();
    let addresses: Vec<_> = nodes.iter().map(|it| server::socket_address(&it.address)).collect();
    let each = scenario.clients / nodes.len();
    let first = FIRST.min(each / 2);
    let mut crew = Crew::start(nodes.len(), &home.logins_file(), each);
    crew.connect(scenario.protocol, first, &addresses).await;
    tokio::time::sleep(SETTLE).await;

    let later = ((each - first) * nodes.len()) as f64;
    let (before, started) = (resident_bytes(&nodes), Instant::now());
    crew.connect(scenario.protocol, each - first, &addresses).await;
    let connected_per_second = later / started.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let idle_bytes = (resident_bytes(&nodes) - before) / later;
    let rest = cpu(&nodes);
    tokio::time::sleep(REST).await;
    let rest = (cpu(&nodes) - rest) / REST.as_secs_f64();

    let mut session = leader.play(&nodes[0].address).await;
    let refused = crew.counted().await.refused;
    let (mut lasts, started) = (Vec::with_capacity(scenario.changes), Instant::now());
    let (machine, node, client) = (Cpu::of(home), cpu(&nodes), crew.cpu());
    for _ in 0..scenario.changes {
        assert!(session.win("watch_ad").await, "the leader's award is not refused");
        lasts.push(crew.has(leader::version(&nodes[0].address).await).await);
        tokio::time::sleep(PAUSE).await;
    }
    let took = started.elapsed().as_secs_f64();
    let (node, client) = (cpu(&nodes) - node, crew.cpu() - client);
    let others = Cpu::of(home).since(&machine).others() - node - client;
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let mut counted = crew.counted().await;
    counted.refused += refused;
    let share = 1e6 / counted.deliveries as f64;
    let row = Row {
        protocol: scenario.protocol,
        clients: each * nodes.len(),
        nodes: nodes.len(),
        connected_per_second,
        idle_bytes,
        used_bytes: (resident_bytes(&nodes) - before) / later,
        node_us: (node - rest * took) * share,
        client_us: client * share,
        counted,
        lasts,
        others: others / cores / took,
    };
    println!("{}", row.line(None));
    row
}

fn resident_bytes(nodes: &[Node]) -> f64 {
    nodes.iter().map(Node::resident_bytes).sum()
}

fn cpu(nodes: &[Node]) -> f64 {
    nodes.iter().map(Node::cpu).sum()
}
