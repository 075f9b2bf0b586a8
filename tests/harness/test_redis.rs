//! The Redis of a test: one process or a cluster, with the same interface.

use std::path::Path;

use super::cluster::{self, TestCluster};
use super::redis_client::{RedisClient, Server};
use super::store_processes::{DataFile, RedisProcess};

/// The Redis of a test. When it is dropped, a process ends and a cluster returns to the pool.
pub struct TestRedis {
    pub url: String,
    /// The number of shards. With 1, keys have no prefix.
    shards: usize,
    servers: Servers,
}

enum Servers {
    Process(Box<RedisProcess>),
    /// `None` only in `drop`.
    Cluster(Option<TestCluster>),
}

impl TestRedis {
    /// Starts a single Redis in a folder.
    pub async fn start(path: &Path) -> Self {
        Self::with_shards(path, 1).await
    }

    /// Starts a single Redis for several shards.
    pub async fn with_shards(path: &Path, shards: usize) -> Self {
        let process = RedisProcess::start(path, Vec::new()).await;
        Self { url: process.url(), shards, servers: Servers::Process(Box::new(process)) }
    }

    /// Starts a single Redis with a fake clock, for this number of shards.
    pub async fn with_fake_clock(path: &Path, shards: usize) -> Self {
        let process = RedisProcess::start_with_fake_clock(path).await;
        Self { url: process.url(), shards, servers: Servers::Process(Box::new(process)) }
    }

    /// Sets the fake clock to an offset in seconds (`+86400`, `-4`) or a fixed time in UTC (`2026-11-29 23:59:57`).
    pub fn set_clock(&self, time: &str) {
        match &self.servers {
            Servers::Process(process) => process.set_clock(time),
            Servers::Cluster(_) => panic!("a cluster has no fake clock"),
        }
    }

    /// Takes a cluster from the pool.
    pub async fn on_cluster(shards: usize) -> Self {
        let cluster = cluster::take_from_pool().await;
        Self { url: cluster.url(), shards, servers: Servers::Cluster(Some(cluster)) }
    }

    /// The cluster, if this is one.
    pub fn cluster(&mut self) -> Option<&mut TestCluster> {
        match &mut self.servers {
            Servers::Process(_) => None,
            Servers::Cluster(cluster) => cluster.as_mut(),
        }
    }

    /// A client that does not use the code of Laurel.
    pub async fn redis_client(&self) -> RedisClient {
        match &self.servers {
            Servers::Process(process) => {
                let server = Server::connect(&process.url(), String::new(), true).await;
                RedisClient::with_servers(vec![server], self.shards, None)
            }
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().redis_client(self.shards).await,
        }
    }

    /// Kills all processes with SIGKILL and waits until they end.
    pub async fn kill(&mut self) {
        match &mut self.servers {
            Servers::Process(process) => process.kill().await,
            Servers::Cluster(cluster) => cluster.as_mut().unwrap().kill_all().await,
        }
    }

    /// Restarts all processes with their data.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// Restarts with further options.
    pub async fn restart_with(&mut self, extra: &[&str]) {
        match &mut self.servers {
            Servers::Process(process) => process.restart(extra).await,
            Servers::Cluster(cluster) => {
                let cluster = cluster.as_mut().unwrap();
                cluster.restart_all(extra).await;
                cluster.wait_until_ready().await;
            }
        }
    }

    /// Stops the processes with SIGSTOP, as if the host hangs: connections stay open without replies.
    pub fn stop(&self) {
        match &self.servers {
            Servers::Process(process) => process.stop(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().stop_all(),
        }
    }

    /// Continues the processes after `stop`.
    pub fn resume(&self) {
        match &self.servers {
            Servers::Process(process) => process.resume(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().resume_all(),
        }
    }

    /// Deletes the data. The processes must not run.
    pub fn delete_data(&self) {
        match &self.servers {
            Servers::Process(process) => process.delete_data(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().delete_all_data(),
        }
    }

    /// Copies the data of each process. The processes must not run.
    pub fn copy_data(&self) -> Vec<Vec<DataFile>> {
        match &self.servers {
            Servers::Process(process) => vec![process.copy_data()],
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().copy_all_data(),
        }
    }

    /// Replaces the data by a copy. The processes must not run.
    pub fn restore_data(&self, copies: &[Vec<DataFile>]) {
        match &self.servers {
            Servers::Process(process) => process.restore_data(&copies[0]),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().restore_all_data(copies),
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        if let Servers::Cluster(cluster) = &mut self.servers {
            cluster::return_to_pool(cluster.take().unwrap());
        }
    }
}
