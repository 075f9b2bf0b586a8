//! A Redis Cluster of six processes with the same durable settings as a node's private Redis: three masters, each with a replica.

use std::net::TcpListener;
use std::process::Command;

use laurel::embedded::{DataFolder, Holder, Redis};

use crate::server;

const MASTERS: usize = 3;
const MEMBERS: usize = 2 * MASTERS;

pub struct Cluster {
    members: Vec<Redis>,
    folders: Vec<DataFolder>,
    addresses: Vec<String>,
    _root: tempfile::TempDir,
}

impl Cluster {
    /// Starts it and waits until it takes writes and every replica is in step.
    pub async fn start() -> Self {
        let root = tempfile::Builder::new().prefix("laurel-cluster").tempdir().unwrap();
        // All ports are held at once, so that they differ: one for clients and one for the bus of each.
        let free: Vec<_> = (0..2 * MEMBERS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = free.iter().map(|it| it.local_addr().unwrap().port()).collect();
        drop(free);
        let (mut members, mut folders, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for pair in ports.chunks(2) {
            let [port, bus] = [pair[0].to_string(), pair[1].to_string()];
            let home = root.path().join(&port);
            std::fs::create_dir(&home).unwrap();
            let Holder::Us(data) = DataFolder::open(&home).await.unwrap() else { unreachable!() };
            let options =
                ["--port", &port, "--cluster-port", &bus, "--bind", "127.0.0.1", "--cluster-enabled"];
            let options = [&options[..], &["yes", "--repl-diskless-sync-delay", "0"]].concat();
            members.push(Redis::start(&data, &options).await.unwrap());
            folders.push(data);
            addresses.push(format!("127.0.0.1:{port}"));
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(&addresses);
        let output = create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { members, folders, addresses, _root: root };
        cluster.settled().await;
        cluster
    }

    async fn settled(&self) {
        for folder in &self.folders {
            let mut redis = server::connect(&folder.root().join("redis/redis.sock")).await;
            crate::wait_until(async || {
                let state: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut redis).await.unwrap();
                let role: String =
                    redis::cmd("INFO").arg("replication").query_async(&mut redis).await.unwrap();
                state.contains("cluster_state:ok")
                    && (role.contains("connected_slaves:1") || role.contains("master_link_status:up"))
            })
            .await;
        }
    }

    /// As the setting `redis.url` wants it.
    pub fn url(&self) -> String {
        format!("redis-cluster://{}", self.addresses.join(","))
    }

    /// The processes' ids: masters, then replicas, as `redis-cli` makes them of a list.
    pub fn pids(&self) -> (Vec<u32>, Vec<u32>) {
        let pids: Vec<u32> = self.members.iter().map(|it| it.pid().unwrap()).collect();
        (pids[..MASTERS].to_vec(), pids[MASTERS..].to_vec())
    }

    pub async fn stop(self) {
        for member in self.members {
            member.stop().await;
        }
    }
}
