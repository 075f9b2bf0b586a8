//! One `laurel serve` process, with proxies to its stores.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::signal;
use crate::stores::free_port;

/// Settings of all nodes and commands: no rate limits, and short time-outs of the stores.
const SETTINGS: [(&str, &str); 19] = [
    ("JWT_SECRET", "only for the fault suite, only for the fault suite"),
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
    ("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__LOGINS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__REGISTERS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0"),
    ("LAUREL_LIMITS__SOCKETS_PER_IP", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_TOKENS__ACTION_INTERVAL_SECONDS", "0"),
    ("LAUREL_REDIS__TIMEOUT_MS", "800"),
    ("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", "1500"),
    ("LAUREL_POSTGRES__MAX_CONNECTIONS", "6"),
    ("LAUREL_OUTBOX__ACKNOWLEDGE_TIMEOUT_MS", "2000"),
    ("LAUREL_SERVER__REQUEST_TIMEOUT_MS", "5000"),
    ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
    ("RUST_LOG", "info"),
];

/// A node that has not ended this long after SIGTERM hangs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The binary `laurel` of the same build.
fn laurel() -> PathBuf {
    let built = std::env::current_exe().unwrap();
    let path = built.ancestors().nth(2).unwrap().join("laurel");
    assert!(path.exists(), "{} is missing: build it first", path.display());
    path
}

fn command(folder: &Path, redis_port: u16, postgres_port: u16) -> Command {
    let mut command = Command::new(laurel());
    command
        .current_dir(folder)
        .envs(SETTINGS)
        .env("LAUREL_ACTIONS__FILE", folder.join("actions.toml"))
        .env("REDIS_URL", format!("redis://127.0.0.1:{redis_port}"))
        .env("DATABASE_URL", format!("postgres://laurel@127.0.0.1:{postgres_port}/laurel?sslmode=disable"));
    // SAFETY: between fork and exec only prctl is called. Nodes end with the thread that starts them, the main one.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command
}

/// Runs another command of `laurel` until it ends.
pub async fn run(folder: &Path, redis_port: u16, postgres_port: u16, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(command(folder, redis_port, postgres_port));
    // A command that verifies needs longer time-outs than a node, because a busy machine slows down the stores.
    command.env("LAUREL_REDIS__TIMEOUT_MS", "10000").env("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", "30000");
    command.args(arguments).kill_on_drop(true).output().await.unwrap()
}

pub struct Node {
    /// Its index in the suite.
    pub place: usize,
    pub base: String,
    /// The ports of its proxies to Redis and Postgres.
    ports: (u16, u16),
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    pub fn new(place: usize, folder: &Path, redis_port: u16, postgres_port: u16) -> Self {
        let base = format!("http://127.0.0.1:{}", free_port());
        Self { place, base, ports: (redis_port, postgres_port), folder: folder.to_owned(), child: None }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Sends SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal::send(child.id(), libc::SIGKILL);
            child.wait().unwrap();
        }
    }

    /// Sends SIGTERM and waits until it has drained.
    ///
    /// # Errors
    /// It hangs and was killed, or its exit status is an error.
    pub async fn terminate(&mut self) -> Result<(), String> {
        let Some(pid) = self.pid() else { return Ok(()) };
        if self.ended().is_some() {
            return Ok(());
        }
        signal::send(pid, libc::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < DRAIN_TIMEOUT {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                // It had not installed its signal handler yet.
                Some(status) if status.signal() == Some(libc::SIGTERM) => return Ok(()),
                Some(status) => return Err(format!("node {} drained, and ended with {status}", self.place)),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.kill();
        Err(format!("node {} did not end {} s after SIGTERM", self.place, DRAIN_TIMEOUT.as_secs()))
    }

    /// Starts it, unless it runs. It may be slow, or end if its stores are unavailable.
    pub fn start(&mut self) {
        if self.child.is_none() {
            let path = self.folder.join(format!("node-{}.log", self.place));
            let log = File::options().create(true).append(true).open(path).unwrap();
            let port = self.base.rsplit(':').next().unwrap();
            let mut command = command(&self.folder, self.ports.0, self.ports.1);
            command.arg("serve").env("PORT", port).env("LAUREL_LIVE__NODE_NAME", format!("n{}", self.place));
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            self.child = Some(command.spawn().unwrap());
        }
    }

    /// Its exit status, if it ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }
}

/// The response of `/readyz/awards`.
pub struct Readiness {
    pub is_ready: bool,
    pub outbox_entries: u64,
    pub version: i64,
}

/// Requests `/readyz/awards` of a node. None: no response.
pub async fn readiness(client: &reqwest::Client, base: &str) -> Option<Readiness> {
    let request = client.get(format!("{base}/readyz/awards")).timeout(Duration::from_secs(2));
    let response = request.send().await.ok()?;
    let is_ready = response.status() == 200;
    let body: serde_json::Value = response.json().await.ok()?;
    Some(Readiness {
        is_ready,
        outbox_entries: body["outboxEntries"].as_u64()?,
        version: body["boardVersion"].as_i64()?,
    })
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
