//! The layout of a cluster: `CLUSTER NODES`, and the initial `nodes.conf`.

use super::ports::Ports;
use super::{MASTERS, MEMBERS};

const SLOTS: usize = 16_384;

/// A line of `CLUSTER NODES`.
#[derive(Clone, Debug)]
pub struct ClusterNode {
    pub id: String,
    /// True for the member that replied.
    pub myself: bool,
    pub master: bool,
    /// True if the member that replied (`fail?`) or the cluster (`fail`) considers it failed.
    pub failed: bool,
    /// The configuration epoch.
    pub epoch: u64,
    /// Inclusive ranges.
    pub slots: Vec<(u16, u16)>,
}

impl ClusterNode {
    pub fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|(from, to)| (*from..=*to).contains(&slot))
    }
}

/// Parses `CLUSTER NODES`.
pub fn parse(nodes: &str) -> Vec<ClusterNode> {
    nodes.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> ClusterNode {
    let words: Vec<_> = line.split(' ').collect();
    let flags: Vec<_> = words[2].split(',').collect();
    // A migrating slot is listed twice: with the slots of its old master, and in brackets.
    let slots = words[8..].iter().filter(|it| !it.starts_with('['));
    ClusterNode {
        id: words[0].to_owned(),
        myself: flags.contains(&"myself"),
        master: flags.contains(&"master"),
        failed: flags.iter().any(|it| it.starts_with("fail")),
        epoch: words[6].parse().unwrap(),
        slots: slots.map(|text| range(text)).collect(),
    }
}

fn range(text: &str) -> (u16, u16) {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    (from.parse().unwrap(), to.parse().unwrap())
}

/// The `nodes.conf` of a member. It lists the whole cluster, which replaces `CLUSTER MEET`.
pub fn nodes_conf(ids: &[String], ports: &Ports, of: usize) -> String {
    let mut text = String::new();
    for (member, id) in ids.iter().enumerate() {
        let (port, bus, shard) = (ports.client(member), ports.bus(member), member % MASTERS);
        let myself = if member == of { "myself," } else { "" };
        let epoch = shard + 1;
        let rest = if member < MASTERS {
            let (from, to) = (shard * SLOTS / MASTERS, (shard + 1) * SLOTS / MASTERS - 1);
            format!("{myself}master - 0 0 {epoch} connected {from}-{to}")
        } else {
            format!("{myself}slave {} 0 0 {epoch} connected", ids[shard])
        };
        text.push_str(&format!("{id} 127.0.0.1:{port}@{bus} {rest}\n"));
    }
    text + &format!("vars currentEpoch {MEMBERS} lastVoteEpoch 0\n")
}
