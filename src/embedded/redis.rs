//! An embedded `redis-server` with durable settings: every award is on disk before it is acknowledged, and nothing is evicted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::child::{Child, Recipe};
use super::{DataFolder, StartError, has_listener, url_path};

/// The settings that the durability of awards depends on.
const DURABLE: [&str; 14] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    // An award adds about 900 bytes. With the default of 64 MB, a busy node would rewrite the file every 10 s.
    "--auto-aof-rewrite-min-size",
    "256mb",
    "--maxmemory-policy",
    "noeviction",
    "--save",
    "",
    "--port",
    "0",
    "--unixsocketperm",
    "700",
];

/// Time-out of a PING.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A running embedded Redis.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    socket: PathBuf,
}

/// The URL of the Redis of a data folder, running or not.
pub fn url(root: &Path) -> String {
    format!("unix://{}", url_path(&socket(root)))
}

fn socket(root: &Path) -> PathBuf {
    root.join("redis/redis.sock")
}

/// Whether a process listens on the socket of a data folder's Redis.
pub async fn listens(root: &Path) -> bool {
    has_listener(&socket(root)).await
}

/// Whether the Redis of a data folder answers.
pub async fn answers(root: &Path) -> bool {
    let ping = tokio::time::timeout(PING_TIMEOUT, ping(&socket(root))).await;
    ping.is_ok_and(|pong| pong.is_ok_and(|pong| pong))
}

/// Whether a data folder has data of a Redis, valid or not.
pub fn exists(root: &Path) -> bool {
    let entries = std::fs::read_dir(root.join("redis")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.as_encoded_bytes().starts_with(b"appendonly"))
}

impl Redis {
    /// Starts Redis and waits until it has loaded its data. `extra` adds command line options.
    ///
    /// # Errors
    /// The binary is missing, or the data cannot be loaded.
    pub async fn start(folder: &DataFolder, extra: &[&str]) -> Result<Self, StartError> {
        let data = folder.subfolder("redis", None)?;
        let socket = socket(folder.root());
        // Redis has another working directory, so the path must be absolute.
        let real = data
            .canonicalize()
            .map_err(|error| StartError(format!("cannot use {}: {error}", data.display())))?;
        let mut arguments: Vec<OsString> = DURABLE.iter().map(OsString::from).collect();
        arguments.extend(["--unixsocket".into(), real.join("redis.sock").into()]);
        arguments.extend(["--dir".into(), real.into()]);
        arguments.extend(extra.iter().map(OsString::from));
        let recipe = Recipe {
            name: "redis-server",
            program: find_binary()?,
            arguments,
            log: folder.root().join("redis.log"),
            account: None,
            inherit: vec![folder.lock().clone()],
            stop_signal: libc::SIGTERM,
        };
        let mut redis = Self { child: Child::spawn(recipe)?, socket };
        redis.wait_until_ready().await?;
        Ok(redis)
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Waits until Redis ends, and restarts it.
    pub async fn keep_alive(&mut self) -> Result<(), StartError> {
        self.child.restart_after_exit().await?;
        self.wait_until_ready().await
    }

    /// Stops Redis. Acknowledged writes are on disk.
    pub async fn stop(self) {
        self.child.stop().await;
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        loop {
            if ping(&self.socket).await.is_ok_and(|pong| pong) {
                return Ok(());
            }
            if self.child.has_ended() {
                return Err(self.child.start_error());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn ping(socket: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}

fn find_binary() -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin".into(), "/usr/local/bin".into()])
        .map(|folder| folder.join("redis-server"))
        .find(|it| it.is_file())
        .ok_or_else(|| {
            StartError(
                "redis-server was not found on PATH: apt-get install redis-server, or set REDIS_URL".into(),
            )
        })
}
