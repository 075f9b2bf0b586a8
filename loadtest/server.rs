//! A node with its own durable Redis and Postgres, as a separate process in a temporary folder.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::client::Connection;

/// Settings without rate limits, so that nothing but the work is measured.
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

/// The binary of a node.
pub fn laurel() -> PathBuf {
    std::env::current_dir().unwrap().join("target/release/laurel")
}

/// Connects to a Redis on a Unix socket.
pub async fn connect(socket: &Path) -> MultiplexedConnection {
    let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    connection.set_response_timeout(Duration::from_secs(60));
    connection
}

/// The URL of the Postgres in a data folder.
pub fn postgres_url(data: &Path) -> String {
    format!("postgres:///laurel?host={}/postgres&user=laurel", data.display())
}

/// Starts a node in a folder. Returns the process and its address.
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

/// The loopback socket address of `host:port`.
pub fn socket_address(address: &str) -> SocketAddrV4 {
    let port = address.rsplit(':').next().unwrap();
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.parse().unwrap())
}

pub struct Server {
    pub address: String,
    pub node: Child,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server with these users; settings that are not named have their defaults.
    pub fn start(users: usize, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-load").tempdir().unwrap();
        let server = Self::open(folder, settings);
        let users = users.to_string();
        let seeded = server.run(&["seed", "--users", &users, "--max-score", "100000", "--tokens", "logins"]);
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        server
    }

    /// Starts a server in a folder that may already have its stores.
    pub fn open(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Self {
        let (node, address) = serve(folder.path(), settings);
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self { address, node, settings, folder }
    }

    /// Runs a command of Laurel on the same stores.
    fn run(&self, arguments: &[&str]) -> Output {
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(laurel());
        command.args(arguments).current_dir(self.folder.path()).envs(settings).output().unwrap()
    }

    /// Connects to its Redis.
    pub async fn redis(&self) -> MultiplexedConnection {
        connect(&self.data().join("redis/redis.sock")).await
    }

    pub fn postgres_url(&self) -> String {
        postgres_url(&self.data())
    }

    /// The data folder, with the stores.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the users' logins, one a line.
    pub fn logins_file(&self) -> PathBuf {
        self.folder.path().join("logins")
    }

    pub fn logins(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.logins_file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub fn socket_address(&self) -> SocketAddr {
        socket_address(&self.address).into()
    }

    /// Redis scripts that ran for requests so far; the poll once a second and other background work is left out.
    pub async fn scripts(&self) -> f64 {
        let metrics = Connection::open(&self.address).await.get("/metrics").await;
        let for_requests = ["issue", "redeem", "attempt", "lease"].map(|name| format!("script=\"{name}\""));
        metrics
            .lines()
            .filter(|line| line.starts_with("laurel_redis_script_duration_seconds_count"))
            .filter(|line| for_requests.iter().any(|label| line.contains(label)))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until the outbox is empty: Postgres has every award.
    pub async fn wait_until_written(&self) {
        let mut connection = Connection::open(&self.address).await;
        let mut is_empty =
            async || connection.get("/metrics").await.lines().any(|line| line == "laurel_outbox_entries 0");
        crate::wait_until(&mut is_empty).await;
        // The gauge is up to a second old, so it may not have counted the last awards.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        crate::wait_until(&mut is_empty).await;
    }

    /// The last line of `laurel verify`, with the number of mismatches.
    pub fn verify(&self) -> String {
        let output = String::from_utf8(self.run(&["verify"]).stdout).unwrap();
        output.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}
