//! A Redis with a replica and three Sentinels, as real processes on loopback.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::cluster::ports::Ports;
use super::eventually;
use super::redis_client::connect_redis;
use super::store_processes::RedisProcess;

/// The name of the master.
const NAME: &str = "laurel";
const SENTINELS: usize = 3;

/// Servers 0 and 1, one of which is the master, and three Sentinels.
pub struct TestSentinels {
    servers: [RedisProcess; 2],
    sentinels: Vec<Child>,
    ports: Ports,
    /// The password of the Sentinels; empty if they have none.
    password: String,
}

impl TestSentinels {
    /// Starts all processes and waits until they are ready. Server 0 is the master.
    pub async fn start(folder: &Path) -> Self {
        Self::with_password(folder, "").await
    }

    /// Like `start`, with a password for the Sentinels.
    pub async fn with_password(folder: &Path, password: &str) -> Self {
        let ports = Ports::take();
        let master = start_server(folder, &ports, 0, &[]).await;
        let port = ports.client(0).to_string();
        let replica = start_server(folder, &ports, 1, &["--replicaof", "127.0.0.1", &port]).await;
        let sentinels =
            (0..SENTINELS).map(|number| start_sentinel(folder, &ports, number, password)).collect();
        let password = password.to_owned();
        let sentinels_of_test = Self { servers: [master, replica], sentinels, ports, password };
        sentinels_of_test.wait_until_ready(0).await;
        sentinels_of_test
    }

    /// The URL for the setting `redis.url`.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            (0..SENTINELS).map(|number| format!("127.0.0.1:{}", self.ports.client(2 + number))).collect();
        format!("redis-sentinel://{}#{NAME}", addresses.join(","))
    }

    /// Kills a server with SIGKILL and waits until it ends.
    pub async fn kill(&mut self, server: usize) {
        self.servers[server].kill().await;
    }

    /// Restarts a killed server with its data. An old master starts as a master.
    pub async fn restart(&mut self, server: usize) {
        self.servers[server].restart(&[]).await;
    }

    /// Stops a server with SIGSTOP, as if its host hangs.
    pub fn stop(&self, server: usize) {
        self.servers[server].stop();
    }

    /// Continues a stopped server.
    pub fn resume(&self, server: usize) {
        self.servers[server].resume();
    }

    /// Waits until a server is the master, as the server and every Sentinel report.
    pub async fn wait_for_master(&self, server: usize) {
        eventually("every Sentinel to report the new master", async || {
            let role = self.replication(server).await?;
            let states = futures::future::join_all((0..SENTINELS).map(|number| self.state_of(number))).await;
            let all_agree = states
                .into_iter()
                .all(|state| state.is_some_and(|state| state.master_port == self.ports.client(server)));
            (all_agree && role.contains("role:master")).then_some(())
        })
        .await;
    }

    /// Waits until a server is the master, every Sentinel has found the others and the replica, and the replica is in sync.
    pub async fn wait_until_ready(&self, server: usize) {
        self.wait_for_master(server).await;
        eventually("a replica in sync that every Sentinel has found", async || {
            let states = futures::future::join_all((0..SENTINELS).map(|number| self.state_of(number))).await;
            let complete = states
                .into_iter()
                .flatten()
                .filter(|state| state.others == SENTINELS - 1 && state.replicas == 1);
            let in_sync = self.replication(1 - server).await?.contains("master_link_status:up");
            (in_sync && complete.count() == SENTINELS).then_some(())
        })
        .await;
    }

    async fn replication(&self, server: usize) -> Option<String> {
        let process = &self.servers[server];
        match process.is_running() {
            true => query(&process.url(), "INFO", "replication").await,
            false => None,
        }
    }

    async fn state_of(&self, sentinel: usize) -> Option<SentinelState> {
        let login = if self.password.is_empty() { String::new() } else { format!(":{}@", self.password) };
        let url = format!("redis://{login}127.0.0.1:{}", self.ports.client(2 + sentinel));
        let master: std::collections::HashMap<String, String> = query(&url, "SENTINEL MASTER", NAME).await?;
        Some(SentinelState {
            master_port: master["port"].parse().unwrap(),
            others: master["num-other-sentinels"].parse().unwrap(),
            replicas: master["num-slaves"].parse().unwrap(),
        })
    }
}

/// Runs one command. Returns `None` on errors, because Sentinels close all connections of a server whose role they change.
async fn query<T: redis::FromRedisValue>(url: &str, command: &str, argument: &str) -> Option<T> {
    let mut connection = connect_redis(url).await.ok()?;
    let mut full_command = redis::Cmd::new();
    full_command.arg(command.split(' ').collect::<Vec<_>>()).arg(argument);
    full_command.query_async(&mut connection).await.ok()
}

/// The state of the master, its replicas and its Sentinels, as one Sentinel reports it.
struct SentinelState {
    master_port: u16,
    /// The number of other Sentinels.
    others: usize,
    replicas: usize,
}

async fn start_server(folder: &Path, ports: &Ports, number: usize, extra: &[&str]) -> RedisProcess {
    let port = ports.client(number).to_string();
    let options = ["--port", &port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
    let folder = folder.join(format!("server-{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    RedisProcess::start_with(&folder, options.map(str::to_owned).to_vec(), extra).await
}

fn start_sentinel(folder: &Path, ports: &Ports, number: usize, password: &str) -> Child {
    let folder = folder.join(format!("sentinel-{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    let (port, master, home) = (ports.client(2 + number), ports.client(0), folder.display());
    let path = folder.join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {home}\nlogfile sentinel.log\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 3000\n"
    );
    let login = if password.is_empty() { String::new() } else { format!("requirepass {password}\n") };
    std::fs::write(&path, text + &login).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&path).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

impl Drop for TestSentinels {
    fn drop(&mut self) {
        for sentinel in &mut self.sentinels {
            let _ = sentinel.kill();
            let _ = sentinel.wait();
        }
    }
}
