//! A Redis Cluster of six real processes: three masters, each with a replica.

mod faults;
mod layout;
mod pool;
pub mod ports;
mod reshard;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;

pub use layout::Seen;
pub use pool::{give_back, take};
use ports::Ports;

use super::eventually;
use super::keeper::{RedisProcess, lasting_folder};
use super::redis_look::{RedisLook, Server};

const MASTERS: usize = 3;
const MEMBERS: usize = 2 * MASTERS;

/// After so long without a word from it a process is taken for gone. Long, so that no busy machine makes a master fail over;
/// a test of fail-overs calls [`KeptCluster::hurry`].
const PATIENCE_MS: u32 = 30_000;

/// The cluster; it ends with this value. Its processes are called by their number, 0 to 5.
pub struct KeptCluster {
    members: Vec<RedisProcess>,
    ids: Vec<String>,
    folder: PathBuf,
    ports: Ports,
    damaged: Arc<AtomicBool>,
}

impl KeptCluster {
    /// Starts it and waits until it takes writes everywhere and each replica is in step, which is more than two seconds:
    /// a master that starts takes no writes before that.
    pub async fn start() -> Self {
        let (folder, ports) = (lasting_folder("cluster"), Ports::take());
        let ids: Vec<String> = (0..MEMBERS).map(|_| hex(rand::random::<[u8; 20]>())).collect();
        let members = join_all((0..MEMBERS).map(async |member| {
            let home = folder.join(member.to_string());
            std::fs::create_dir_all(home.join("redis")).unwrap();
            std::fs::write(home.join("redis/nodes.conf"), layout::write(&ids, &ports, member)).unwrap();
            RedisProcess::start(&home, options(&ports, member)).await
        }))
        .await;
        let cluster = Self { members, ids, folder, ports, damaged: Arc::default() };
        cluster.settled().await;
        cluster
    }

    /// As the setting `redis.url` wants it.
    pub fn url(&self) -> String {
        let addresses: Vec<_> = (0..MEMBERS).map(|it| self.address(it)).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    pub fn address(&self, member: usize) -> String {
        format!("127.0.0.1:{}", self.ports.client(member))
    }

    /// One process, past everything that would lead elsewhere.
    pub async fn member(&self, member: usize) -> RedisLook {
        RedisLook::new(&self.members[member].url()).await
    }

    /// What one process answers to one command.
    pub async fn ask<T: redis::FromRedisValue>(&self, member: usize, command: &str) -> T {
        self.member(member).await.ask(command).await
    }

    /// All of it that lives, with keys in so many shards.
    pub async fn look(&self, shards: usize) -> RedisLook {
        let masters = self.masters().await;
        let connect = async |it: usize| {
            Server::connect(&self.members[it].url(), self.address(it), masters.contains(&it)).await
        };
        let servers = join_all(self.living().into_iter().map(connect)).await;
        RedisLook::over(servers, shards, Some(self.damaged.clone()))
    }

    /// From now on this cluster is not as it was made, so no other test may have it.
    fn damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Those that are there and not stopped.
    pub fn living(&self) -> Vec<usize> {
        (0..MEMBERS).filter(|it| self.members[*it].answers()).collect()
    }

    /// The cluster as one process sees it.
    pub async fn seen_by(&self, member: usize) -> Vec<Seen> {
        layout::read(&self.ask::<String>(member, "CLUSTER NODES").await)
    }

    /// What each living process says of itself.
    async fn themselves(&self) -> Vec<(usize, Seen)> {
        let ask = async |it| (it, self.seen_by(it).await.into_iter().find(|it| it.myself).unwrap());
        join_all(self.living().into_iter().map(ask)).await
    }

    /// The living masters that have slots. Of two that claim the same, the one that was elected later has them.
    pub async fn masters(&self) -> Vec<usize> {
        let mut claims = self.themselves().await;
        claims.retain(|(_, it)| it.master && !it.slots.is_empty());
        claims.sort_by_key(|(_, it)| std::cmp::Reverse(it.epoch));
        let mut masters: Vec<(usize, Seen)> = Vec::new();
        for (member, claim) in claims {
            if !masters.iter().any(|(_, it)| it.has(claim.slots[0].0)) {
                masters.push((member, claim));
            }
        }
        masters.into_iter().map(|(member, _)| member).collect()
    }

    /// The living master of a slot, if it has one.
    pub async fn master_of(&self, slot: u16) -> Option<usize> {
        let claims = self.themselves().await.into_iter();
        claims.filter(|(_, it)| it.master && it.has(slot)).max_by_key(|(_, it)| it.epoch).map(|(it, _)| it)
    }

    /// The slot of a key.
    pub async fn slot(&self, key: &str) -> u16 {
        self.ask(self.living()[0], &format!("CLUSTER KEYSLOT {key}")).await
    }

    /// Waits until all six are there, agree, take writes, and each replica is in step.
    pub async fn settled(&self) {
        eventually("the cluster to be whole", async || {
            let whole = join_all((0..MEMBERS).map(|it| self.is_settled(it))).await;
            whole.into_iter().all(|it| it).then_some(())
        })
        .await;
    }

    async fn is_settled(&self, member: usize) -> bool {
        let mut look = self.member(member).await;
        let state: String = look.ask("CLUSTER INFO").await;
        let role: String = look.ask("INFO replication").await;
        let nodes = layout::read(&look.ask::<String>("CLUSTER NODES").await);
        let in_step = role.contains("connected_slaves:1") || role.contains("master_link_status:up");
        state.contains("cluster_state:ok")
            && state.contains("cluster_slots_ok:16384")
            && in_step
            && nodes.iter().filter(|it| it.master).count() == MASTERS
            && nodes.iter().all(|it| !it.failed)
    }
}

impl Drop for KeptCluster {
    fn drop(&mut self) {
        self.members.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn options(ports: &Ports, member: usize) -> Vec<String> {
    let (port, bus, patience) = (ports.client(member), ports.bus(member), PATIENCE_MS);
    // A master that is away costs its slots alone. Members that wait for a test look at each other once a second: ten times take half a
    // core.
    let options = format!(
        "--port {port} --cluster-port {bus} --bind 127.0.0.1 --cluster-enabled yes --cluster-node-timeout {patience} \
         --cluster-require-full-coverage no --repl-diskless-sync-delay 0 --hz 1"
    );
    options.split(' ').map(str::to_owned).collect()
}

fn hex(bytes: [u8; 20]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
