//! A test's own Redis: one process, or a cluster of them that is asked to do the same.

use std::path::Path;

use super::cluster::{self, KeptCluster};
use super::keeper::{DataFile, RedisProcess};
use super::redis_look::{RedisLook, Server};

/// It ends with this value, or waits for the next test.
pub struct KeptRedis {
    pub url: String,
    /// Into so many shards keys are split; 1: their names are bare.
    shards: usize,
    servers: Servers,
}

enum Servers {
    One(Box<RedisProcess>),
    /// Nothing only while this value goes.
    Cluster(Option<KeptCluster>),
}

impl KeptRedis {
    /// Starts a single Redis in a folder.
    pub async fn start(path: &Path) -> Self {
        Self::with_shards(path, 1).await
    }

    /// The same with several shards on it.
    pub async fn with_shards(path: &Path, shards: usize) -> Self {
        let process = RedisProcess::start(path, Vec::new()).await;
        Self { url: process.url(), shards, servers: Servers::One(Box::new(process)) }
    }

    /// A single Redis whose clock a test sets.
    pub async fn turned(path: &Path) -> Self {
        let process = RedisProcess::start_turned(path).await;
        Self { url: process.url(), shards: 1, servers: Servers::One(Box::new(process)) }
    }

    /// Sets the clock of such a one: `+86400` and `-4` are seconds beside the right time, `2026-11-29 23:59:57` stands still (UTC).
    pub fn turn(&self, time: &str) {
        match &self.servers {
            Servers::One(process) => process.turn(time),
            Servers::Cluster(_) => panic!("a cluster goes by the machine's clock"),
        }
    }

    /// A cluster that nobody else uses.
    pub async fn on_cluster(shards: usize) -> Self {
        let cluster = cluster::take().await;
        Self { url: cluster.url(), shards, servers: Servers::Cluster(Some(cluster)) }
    }

    /// The processes of a cluster, if it is one.
    pub fn cluster(&mut self) -> Option<&mut KeptCluster> {
        match &mut self.servers {
            Servers::One(_) => None,
            Servers::Cluster(cluster) => cluster.as_mut(),
        }
    }

    /// As a test looks at it from outside.
    pub async fn look(&self) -> RedisLook {
        match &self.servers {
            Servers::One(process) => {
                let server = Server::connect(&process.url(), String::new(), true).await;
                RedisLook::over(vec![server], self.shards, None)
            }
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().look(self.shards).await,
        }
    }

    /// Kills it with SIGKILL, all of it, and waits until it is gone.
    pub async fn kill(&mut self) {
        match &mut self.servers {
            Servers::One(process) => process.kill().await,
            Servers::Cluster(cluster) => cluster.as_mut().unwrap().kill_all().await,
        }
    }

    /// Starts it again on its data.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// The same with further options.
    pub async fn restart_with(&mut self, extra: &[&str]) {
        match &mut self.servers {
            Servers::One(process) => process.restart(extra).await,
            Servers::Cluster(cluster) => {
                let cluster = cluster.as_mut().unwrap();
                cluster.restart_all(extra).await;
                cluster.settled().await;
            }
        }
    }

    /// Stops it, as a host that hangs would: connections stay open, nothing is answered.
    pub fn stop(&self) {
        match &self.servers {
            Servers::One(process) => process.stop(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().stop_all(),
        }
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        match &self.servers {
            Servers::One(process) => process.go_on(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().go_on_all(),
        }
    }

    /// Throws its data away; it must not run.
    pub fn lose_data(&self) {
        match &self.servers {
            Servers::One(process) => process.lose_data(),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().lose_all_data(),
        }
    }

    /// Its data as it is now, process by process; it must not run.
    pub fn copy_data(&self) -> Vec<Vec<DataFile>> {
        match &self.servers {
            Servers::One(process) => vec![process.copy_data()],
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().copy_all_data(),
        }
    }

    /// Replaces its data by a copy; it must not run.
    pub fn restore_data(&self, copies: &[Vec<DataFile>]) {
        match &self.servers {
            Servers::One(process) => process.restore_data(&copies[0]),
            Servers::Cluster(cluster) => cluster.as_ref().unwrap().restore_all_data(copies),
        }
    }
}

impl Drop for KeptRedis {
    fn drop(&mut self) {
        if let Servers::Cluster(cluster) = &mut self.servers {
            cluster::give_back(cluster.take().unwrap());
        }
    }
}
