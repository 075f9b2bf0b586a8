//! A Redis Cluster of six real processes: three masters, each with a replica.

mod faults;
mod layout;
mod migration;
mod pool;
pub mod ports;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;

pub use layout::ClusterNode;
pub use pool::{return_to_pool, take_from_pool};
use ports::Ports;

use super::eventually;
use super::redis_client::{RedisClient, Server};
use super::store_processes::{RedisProcess, shared_folder};

const MASTERS: usize = 3;
const MEMBERS: usize = 2 * MASTERS;

/// The time-out before a failover, long enough that a busy machine causes none. Tests of failovers call [`TestCluster::shorten_node_timeout`].
const NODE_TIMEOUT_MS: u32 = 30_000;

/// The cluster. Its members have the numbers 0 to 5. It ends when it is dropped.
pub struct TestCluster {
    members: Vec<RedisProcess>,
    ids: Vec<String>,
    folder: PathBuf,
    ports: Ports,
    is_changed: Arc<AtomicBool>,
}

impl TestCluster {
    /// Starts a cluster and waits until it accepts writes and each replica is in sync. This takes more than two seconds: until then a new master
    /// accepts no writes.
    pub async fn start() -> Self {
        let (folder, ports) = (shared_folder("cluster"), Ports::take());
        let ids: Vec<String> = (0..MEMBERS).map(|_| hex(rand::random::<[u8; 20]>())).collect();
        let members = join_all((0..MEMBERS).map(async |member| {
            let home = folder.join(member.to_string());
            std::fs::create_dir_all(home.join("redis")).unwrap();
            std::fs::write(home.join("redis/nodes.conf"), layout::nodes_conf(&ids, &ports, member)).unwrap();
            RedisProcess::start(&home, options(&ports, member)).await
        }))
        .await;
        let cluster = Self { members, ids, folder, ports, is_changed: Arc::default() };
        cluster.wait_until_ready().await;
        cluster
    }

    /// The URL for the setting `redis.url`.
    pub fn url(&self) -> String {
        let addresses: Vec<_> = (0..MEMBERS).map(|member| self.address(member)).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    pub fn address(&self, member: usize) -> String {
        format!("127.0.0.1:{}", self.ports.client(member))
    }

    /// A client for one member, without redirects.
    pub async fn member(&self, member: usize) -> RedisClient {
        RedisClient::new(&self.members[member].url()).await
    }

    /// Runs a command on one member.
    pub async fn query<T: redis::FromRedisValue>(&self, member: usize, command: &str) -> T {
        self.member(member).await.query(command).await
    }

    /// A client for all running members and this number of shards.
    pub async fn redis_client(&self, shards: usize) -> RedisClient {
        let masters = self.masters().await;
        let connect = async |member: usize| {
            let (url, is_master) = (self.members[member].url(), masters.contains(&member));
            Server::connect(&url, self.address(member), is_master).await
        };
        let servers = join_all(self.running_members().into_iter().map(connect)).await;
        RedisClient::with_servers(servers, shards, Some(self.is_changed.clone()))
    }

    /// Marks this cluster as changed, so that no other test gets it.
    fn mark_changed(&self) {
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// Members that run and are not stopped.
    pub fn running_members(&self) -> Vec<usize> {
        (0..MEMBERS).filter(|member| self.members[*member].is_running()).collect()
    }

    /// The nodes of the cluster, as one member sees them.
    pub async fn view_of(&self, member: usize) -> Vec<ClusterNode> {
        layout::parse(&self.query::<String>(member, "CLUSTER NODES").await)
    }

    /// The running members, each as it sees itself.
    async fn own_views(&self) -> Vec<(usize, ClusterNode)> {
        let own_view =
            async |member| (member, self.view_of(member).await.into_iter().find(|it| it.myself).unwrap());
        join_all(self.running_members().into_iter().map(own_view)).await
    }

    /// The running masters with slots. If two claim the same slots, the one with the higher epoch counts.
    pub async fn masters(&self) -> Vec<usize> {
        let mut claims = self.own_views().await;
        claims.retain(|(_, node)| node.master && !node.slots.is_empty());
        claims.sort_by_key(|(_, node)| std::cmp::Reverse(node.epoch));
        let mut masters: Vec<(usize, ClusterNode)> = Vec::new();
        for (member, claim) in claims {
            if !masters.iter().any(|(_, master)| master.has(claim.slots[0].0)) {
                masters.push((member, claim));
            }
        }
        masters.into_iter().map(|(member, _)| member).collect()
    }

    /// The running master of a slot, if any.
    pub async fn master_of(&self, slot: u16) -> Option<usize> {
        let claims = self.own_views().await.into_iter().filter(|(_, node)| node.master && node.has(slot));
        claims.max_by_key(|(_, node)| node.epoch).map(|(member, _)| member)
    }

    /// The slot of a key.
    pub async fn slot(&self, key: &str) -> u16 {
        self.query(self.running_members()[0], &format!("CLUSTER KEYSLOT {key}")).await
    }

    /// Waits until all six members run, agree and accept writes, and each replica is in sync.
    pub async fn wait_until_ready(&self) {
        eventually("the cluster to be complete", async || {
            let ready = join_all((0..MEMBERS).map(|member| self.is_ready(member))).await;
            (!ready.contains(&false)).then_some(())
        })
        .await;
    }

    async fn is_ready(&self, member: usize) -> bool {
        let mut redis_client = self.member(member).await;
        let state: String = redis_client.query("CLUSTER INFO").await;
        let role: String = redis_client.query("INFO replication").await;
        let nodes = layout::parse(&redis_client.query::<String>("CLUSTER NODES").await);
        let in_sync = role.contains("connected_slaves:1") || role.contains("master_link_status:up");
        state.contains("cluster_state:ok")
            && state.contains("cluster_slots_ok:16384")
            && in_sync
            && nodes.iter().filter(|it| it.master).count() == MASTERS
            && nodes.iter().all(|it| !it.failed)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        self.members.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn options(ports: &Ports, member: usize) -> Vec<String> {
    let (port, bus, timeout) = (ports.client(member), ports.bus(member), NODE_TIMEOUT_MS);
    // Without a master, only its slots are unavailable. With the default `hz 10`, idle clusters would use half a core.
    let options = format!(
        "--port {port} --cluster-port {bus} --bind 127.0.0.1 --cluster-enabled yes --cluster-node-timeout {timeout} \
         --cluster-require-full-coverage no --repl-diskless-sync-delay 0 --hz 1"
    );
    options.split(' ').map(str::to_owned).collect()
}

fn hex(bytes: [u8; 20]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
