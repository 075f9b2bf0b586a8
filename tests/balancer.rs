//! Three nodes behind HAProxy with the shipped configuration: rolling restarts under load, a node that is cut off from Redis, and a Redis
//! outage.

mod drain;
pub mod play;
mod redis_outage;
mod rolling_restart;
pub mod subscribers;
pub mod suite;

use std::process::Command;

use laurel::ledger::SeedOptions;

use crate::harness::{Balancer, NodeProcess, TestStores, haproxy_path};
use suite::flows::{CATALOGUE, Player};

/// The nodes' names, in the order of the configuration.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Nodes without rate limits, behind a load balancer.
pub struct Cluster {
    nodes: Vec<NodeProcess>,
    balancer: Balancer,
    players: Vec<Player>,
    client: reqwest::Client,
    stores: TestStores,
}

impl Cluster {
    /// Starts the nodes, each with its own settings, and creates players.
    async fn start(stores: TestStores, players: u64, settings: [&[(&str, &str)]; 3]) -> Self {
        let mut nodes = Vec::new();
        for (name, settings) in NAMES.into_iter().zip(settings) {
            nodes.push(start_node(&stores, "0", name, settings).await);
        }
        let bases: Vec<&str> = nodes.iter().map(|node| node.base.as_str()).collect();
        let balancer = Balancer::start(stores.folder.path(), &bases).await;
        let file = stores.folder.path().join("logins");
        let options = SeedOptions { users: players, max_score: 0, tokens: Some(file.clone()) };
        laurel::ledger::seed(
            &stores.build_app().await.ledger,
            &stores.build_app().await.accounts.logins,
            &options,
            |_| (),
        )
        .await
        .unwrap();
        let players = std::fs::read_to_string(file).unwrap().lines().map(Player::of).collect();
        Self { nodes, balancer, players, client: reqwest::Client::new(), stores }
    }

    /// Stops a node with SIGTERM, starts it again on its port, and waits until the load balancer uses it. Returns the exit code.
    async fn restart(&mut self, index: usize) -> Option<i32> {
        let port = self.nodes[index].port().to_owned();
        let exit_code = tokio::task::block_in_place(|| self.nodes[index].terminate());
        self.nodes[index] = start_node(&self.stores, &port, NAMES[index], &[]).await;
        for backend in ["nodes", "awards"] {
            self.balancer.wait_until(backend, NAMES[index], true).await;
        }
        exit_code
    }
}

async fn start_node(stores: &TestStores, port: &str, name: &str, own: &[(&str, &str)]) -> NodeProcess {
    let catalogue = stores.folder.path().join("actions.toml");
    std::fs::write(&catalogue, CATALOGUE).unwrap();
    let settings = [
        ("PORT", port),
        ("LAUREL_ACTIONS__FILE", catalogue.to_str().unwrap()),
        ("LAUREL_LIVE__NODE_NAME", name),
        ("LAUREL_SERVER__DRAIN_SECONDS", "2"),
        ("LAUREL_SERVER__DRAIN_NOTICE_MS", "2000"),
        // A slow machine must not count as a failure.
        ("LAUREL_OUTBOX__ACKNOWLEDGE_TIMEOUT_MS", "50000"),
        ("LAUREL_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
        ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
        ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
        ("LAUREL_TOKENS__ACTION_INTERVAL_SECONDS", "0"),
        ("RUST_LOG", "warn"),
    ];
    NodeProcess::start(&stores.config, &[&settings, own].concat()).await
}

#[test]
fn the_shipped_configuration_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy.cfg");
    let output =
        Command::new(haproxy_path()).args(["-c", "-f", path]).output().expect("make test installs it");
    let messages = [output.stdout, output.stderr].concat();
    let messages = String::from_utf8_lossy(&messages);
    assert!(output.status.success() && !messages.contains("WARNING"), "{messages}");
}
