//! Who is what in a cluster: as one of its processes sees it, and as it is made.

use super::ports::Ports;
use super::{MASTERS, MEMBERS};

const SLOTS: usize = 16_384;

/// A line of `CLUSTER NODES`.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: String,
    /// The process that was asked.
    pub myself: bool,
    pub master: bool,
    /// Taken for gone, by this process (`fail?`) or by the cluster.
    pub failed: bool,
    /// Of its election.
    pub epoch: u64,
    /// From and to, both included.
    pub slots: Vec<(u16, u16)>,
}

impl Seen {
    pub fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|(from, to)| (*from..=*to).contains(&slot))
    }
}

/// Reads `CLUSTER NODES`.
pub fn read(nodes: &str) -> Vec<Seen> {
    nodes.lines().map(line).collect()
}

fn line(line: &str) -> Seen {
    let words: Vec<_> = line.split(' ').collect();
    let flags: Vec<_> = words[2].split(',').collect();
    // What is on its way between two masters stands in brackets, beside the slot itself where it still is.
    let slots = words[8..].iter().filter(|it| !it.starts_with('['));
    Seen {
        id: words[0].to_owned(),
        myself: flags.contains(&"myself"),
        master: flags.contains(&"master"),
        failed: flags.iter().any(|it| it.starts_with("fail")),
        epoch: words[6].parse().unwrap(),
        slots: slots.map(|it| range(it)).collect(),
    }
}

fn range(text: &str) -> (u16, u16) {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    (from.parse().unwrap(), to.parse().unwrap())
}

/// The file by which a process knows the whole cluster from its start on, so that nobody has to be introduced.
pub fn write(ids: &[String], ports: &Ports, of: usize) -> String {
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
