//! A node as operators run it, a process of its own on private, durable stores, in a folder that goes with it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::http::Connection;

pub struct Server {
    pub address: String,
    pub node: Child,
    /// Of a Postgres that is not the node's own child.
    pub postmaster: Option<u32>,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

/// Settings that leave nobody waiting for a window: what is measured is what the work costs.
pub const UNLIMITED: &[(&str, &str)] = &[
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0"),
    ("LAUREL_LIMITS__SOCKETS_PER_IP", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_TOKENS__ANTI_SPAM_SECONDS", "3600"),
];

/// A node's binary.
pub fn laurel() -> PathBuf {
    std::env::current_dir().unwrap().join("target/release/laurel")
}

/// A Redis behind a socket file.
pub async fn connect(socket: &Path) -> MultiplexedConnection {
    let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    connection.set_response_timeout(Duration::from_secs(60));
    connection
}

/// Starts a node in a folder, and says where it listens.
pub fn serve(folder: &Path, settings: &[(&str, &str)]) -> (Child, String) {
    let mut node = Command::new(laurel())
        .arg("serve")
        .current_dir(folder)
        .env("PORT", "0")
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .expect("build it first: cargo build --release");
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap().rsplit('/').next().unwrap().to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    (node, address)
}

/// Where a node listens, for a socket that is bound itself.
pub fn socket_address(address: &str) -> SocketAddrV4 {
    let port = address.rsplit(':').next().unwrap();
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.parse().unwrap())
}

/// A process' resident memory.
pub fn resident_bytes(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

impl Server {
    /// Starts it with so many users and these settings, the others as they ship.
    pub fn start(users: usize, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-load").tempdir().unwrap();
        let server = Self::open(folder, settings);
        server.seed(users);
        server
    }

    /// Starts it in a folder, which may have its stores already.
    pub fn open(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Self {
        let (node, address) = serve(folder.path(), settings);
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self { address, node, postmaster: None, settings, folder }
    }

    /// Adds so many users; from then on the logins are theirs.
    pub fn seed(&self, users: usize) {
        let users = users.to_string();
        let seeded = self.run(&["seed", "--users", &users, "--max-score", "100000", "--tokens", "logins"]);
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    }

    /// A command on the same stores.
    fn run(&self, arguments: &[&str]) -> Output {
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(laurel());
        command.args(arguments).current_dir(self.folder.path()).envs(settings).output().unwrap()
    }

    /// The private Redis, past the node.
    pub async fn redis(&self) -> MultiplexedConnection {
        let socket = self.folder.path().join("data/redis/redis.sock");
        connect(&socket).await
    }

    /// Where its stores are, and what it was started in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the users' logins, one a line.
    pub fn logins_file(&self) -> PathBuf {
        self.folder.path().join("logins")
    }

    /// The users' logins.
    pub fn logins(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.logins_file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The same as its address.
    pub fn socket_address(&self) -> SocketAddr {
        socket_address(&self.address).into()
    }

    /// Redis scripts that requests made the node run so far; those of its own clock are left out.
    pub async fn scripts(&self) -> f64 {
        let metrics = Connection::open(&self.address).await.get("/metrics").await;
        let counts =
            metrics.lines().filter(|it| it.starts_with("laurel_redis_script_duration_seconds_count"));
        let asked = ["issue", "redeem", "attempt", "lease"].map(|it| format!("script=\"{it}\""));
        counts
            .filter(|line| asked.iter().any(|it| line.contains(it)))
            .map(|it| it.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until Postgres has everything.
    pub async fn wait_until_written(&self) {
        let mut connection = Connection::open(&self.address).await;
        crate::wait_until(async || {
            connection.get("/metrics").await.lines().any(|it| it == "laurel_outbox_entries 0")
        })
        .await;
        // The gauge is a second old; what it did not see yet is seen now.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        crate::wait_until(async || {
            connection.get("/metrics").await.lines().any(|it| it == "laurel_outbox_entries 0")
        })
        .await;
    }

    /// What `laurel verify` says.
    pub fn verify(&self) -> String {
        String::from_utf8(self.run(&["verify"]).stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}
