//! A Redis and its replica, watched by three Sentinels: real processes on loopback.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::cluster::ports::Ports;
use super::eventually;
use super::keeper::RedisProcess;
use super::redis_look::connect_redis;

/// What Sentinels call the master.
const NAME: &str = "laurel";
const SENTINELS: usize = 3;

/// Two servers, by their number 0 and 1, of which one is the master, and those who decide which.
pub struct KeptSentinels {
    servers: [RedisProcess; 2],
    sentinels: Vec<Child>,
    ports: Ports,
    /// Of the Sentinels themselves; empty: none.
    password: String,
}

impl KeptSentinels {
    /// Starts all and waits until the Sentinels know each other and the replica, which is in step. Server 0 is the master.
    pub async fn start(folder: &Path) -> Self {
        Self::with_password(folder, "").await
    }

    /// The same with a password that Sentinels want, of nodes and of each other.
    pub async fn with_password(folder: &Path, password: &str) -> Self {
        let ports = Ports::take();
        let master = server(folder, &ports, 0, &[]).await;
        let port = ports.client(0).to_string();
        let replica = server(folder, &ports, 1, &["--replicaof", "127.0.0.1", &port]).await;
        let sentinels = (0..SENTINELS).map(|it| sentinel(folder, &ports, it, password)).collect();
        let password = password.to_owned();
        let kept = Self { servers: [master, replica], sentinels, ports, password };
        kept.settled(0).await;
        kept
    }

    /// As the setting `redis.url` wants it.
    pub fn url(&self) -> String {
        let places: Vec<String> =
            (0..SENTINELS).map(|it| format!("127.0.0.1:{}", self.ports.client(2 + it))).collect();
        format!("redis-sentinel://{}#{NAME}", places.join(","))
    }

    /// Kills a server with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self, server: usize) {
        self.servers[server].kill().await;
    }

    /// Starts a killed server again on its data. Nobody has told it that it is not the master any more, if it was.
    pub async fn restart(&mut self, server: usize) {
        self.servers[server].restart(&[]).await;
    }

    /// Stops a server, as a host that hangs would.
    pub fn stop(&self, server: usize) {
        self.servers[server].stop();
    }

    /// Lets a stopped server go on.
    pub fn go_on(&self, server: usize) {
        self.servers[server].go_on();
    }

    /// Waits until every Sentinel says that this server is the master, and it says so itself.
    pub async fn is_master(&self, server: usize) {
        eventually("the Sentinels to have another master", async || {
            let role = self.replication(server).await?;
            let said = futures::future::join_all((0..SENTINELS).map(|it| self.said_by(it))).await;
            let all = said.into_iter().all(|it| it.is_some_and(|it| it.port == self.ports.client(server)));
            (all && role.contains("role:master")).then_some(())
        })
        .await;
    }

    /// Waits for the same, for all Sentinels to know each other, and for the other server to be a replica in step.
    pub async fn settled(&self, server: usize) {
        self.is_master(server).await;
        eventually("a replica in step that every Sentinel knows", async || {
            let said = futures::future::join_all((0..SENTINELS).map(|it| self.said_by(it))).await;
            let known =
                said.into_iter().flatten().filter(|it| it.others == SENTINELS - 1 && it.replicas == 1);
            let in_step = self.replication(1 - server).await?.contains("master_link_status:up");
            (in_step && known.count() == SENTINELS).then_some(())
        })
        .await;
    }

    async fn replication(&self, server: usize) -> Option<String> {
        let process = &self.servers[server];
        match process.answers() {
            true => ask(&process.url(), "INFO", "replication").await,
            false => None,
        }
    }

    async fn said_by(&self, sentinel: usize) -> Option<Said> {
        let login = if self.password.is_empty() { String::new() } else { format!(":{}@", self.password) };
        let url = format!("redis://{login}127.0.0.1:{}", self.ports.client(2 + sentinel));
        let told: std::collections::HashMap<String, String> = ask(&url, "SENTINEL MASTER", NAME).await?;
        Some(Said {
            port: told["port"].parse().unwrap(),
            others: told["num-other-sentinels"].parse().unwrap(),
            replicas: told["num-slaves"].parse().unwrap(),
        })
    }
}

/// One question; none: Sentinels have just cut everybody off from a server whose part they change.
async fn ask<T: redis::FromRedisValue>(url: &str, command: &str, about: &str) -> Option<T> {
    let mut connection = connect_redis(url).await.ok()?;
    let mut asked = redis::Cmd::new();
    asked.arg(command.split(' ').collect::<Vec<_>>()).arg(about);
    asked.query_async(&mut connection).await.ok()
}

/// What a Sentinel says.
struct Said {
    /// The master's.
    port: u16,
    others: usize,
    replicas: usize,
}

async fn server(folder: &Path, ports: &Ports, number: usize, extra: &[&str]) -> RedisProcess {
    let port = ports.client(number).to_string();
    let options = ["--port", &port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
    let folder = folder.join(format!("server-{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    RedisProcess::start_with(&folder, options.map(str::to_owned).to_vec(), extra).await
}

fn sentinel(folder: &Path, ports: &Ports, number: usize, password: &str) -> Child {
    let folder = folder.join(format!("sentinel-{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    let (port, master, home) = (ports.client(2 + number), ports.client(0), folder.display());
    let path = folder.join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {home}\nlogfile sentinel.log\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 3000\n"
    );
    let wanted = if password.is_empty() { String::new() } else { format!("requirepass {password}\n") };
    std::fs::write(&path, text + &wanted).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&path).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

impl Drop for KeptSentinels {
    fn drop(&mut self) {
        for sentinel in &mut self.sentinels {
            let _ = sentinel.kill();
            let _ = sentinel.wait();
        }
    }
}
