//! Nodes that end under their clients: one is killed, another asked to go. Clients come back by themselves, to the nodes that
//! are left, while players win awards there.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::awards::{Awards, PLAYERS, Won};
use super::crew::{Counted, Crew};
use super::leader::{self, Leader};
use super::nodes::{self, Node};
use super::orders::Protocol;
pub use super::storms_report::HEADING;
use super::{Options, SETTLE, now_us};
use crate::server::{Server, socket_address};

/// Clients of each of the nodes, of each of the two protocols.
const CLIENTS: usize = 2_500;
const NODES: usize = 3;
/// How long the players win awards before each storm.
const BEFORE: Duration = Duration::from_secs(10);
/// How long they are watched in it, if all clients are back sooner.
const DURING_AT_LEAST: Duration = Duration::from_secs(5);

/// Everything that was measured.
pub struct Storms {
    /// Of each node, before the first storm.
    pub clients: usize,
    pub killed: Storm,
    pub drained: Storm,
    pub verified: String,
}

/// What the end of one node did.
pub struct Storm {
    pub lost: u64,
    /// From the signal to the end of the process, and until the last client had a board again.
    pub ended_in: Duration,
    pub back_in: Duration,
    pub exit_code: Option<i32>,
    pub counted: Counted,
    pub before: Won,
    pub during: Won,
}

struct Stage {
    leader: Leader,
    players: Vec<String>,
    crew: Crew,
}

pub async fn measure(options: &Options) -> Storms {
    let each = options.scaled(CLIENTS);
    let listeners = 2 * each * NODES;
    let home = Server::start(listeners + PLAYERS, &nodes::settings());
    let (killed, drained) = (Node::join(&home, "killed"), Node::join(&home, "drained"));
    let addresses = [&home.address, &killed.address, &drained.address].map(|it| socket_address(it));
    let leader = Leader::find(&home).await;
    let players = home.logins().split_off(listeners).into_iter().filter(|it| it != leader.login()).collect();
    let mut crew = Crew::start(NODES, &home.logins_file(), 2 * each);
    crew.connect(Protocol::SocketIo, each, &addresses).await;
    crew.connect(Protocol::WebSocket, each, &addresses).await;
    tokio::time::sleep(SETTLE).await;
    let mut stage = Stage { leader, players, crew };

    let killed = stage.storm(killed, libc::SIGKILL, &[&home.address, &drained.address]).await;
    let drained = stage.storm(drained, libc::SIGTERM, &[&home.address]).await;
    assert_eq!(drained.exit_code, Some(0), "a node that is asked to go ends well");
    home.wait_until_written().await;
    Storms { clients: 2 * each, killed, drained, verified: home.verify() }
}

impl Stage {
    /// Ends a node while players win awards at the others.
    async fn storm(&mut self, mut node: Node, signal: i32, left: &[&String]) -> Storm {
        let awards = Awards::begin(&self.leader, &self.players, left).await;
        tokio::time::sleep(BEFORE).await;
        let before = awards.so_far();
        self.crew.counted().await;
        let left_addresses: Vec<SocketAddrV4> = left.iter().map(|it| socket_address(it)).collect();
        self.crew.flee(&left_addresses, now_us()).await;
        let from_us = now_us();
        let since = |hlc_us: u64| Duration::from_micros(hlc_us.saturating_sub(from_us));
        node.signal(signal);
        let exit_code = node.exit_code().await;
        let ended_in = since(now_us());
        let back_in = since(self.crew.settle().await);
        tokio::time::sleep(DURING_AT_LEAST.saturating_sub(since(now_us()))).await;
        let during = awards.end().await;
        // What was won last, too, is with everybody.
        self.crew.has(leader::version(left[0]).await).await;
        let counted = self.crew.counted().await;
        let lost = counted.closed.iter().sum();
        Storm { lost, ended_in, back_in, exit_code, counted, before, during }
    }
}
