//! A private `redis-server`, durable: every award is on disk before it is acknowledged, and nothing is evicted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::child::{Child, Recipe};
use super::{DataFolder, StartError, in_url, somebody_listens};

/// The settings that Laurel's promise rests on.
const DURABLE: [&str; 14] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    // An award is some 900 bytes of the file: at 64 MB, which is Redis' own, a busy node would have it written anew every ten seconds.
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

/// A Redis that takes longer for a PING does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A running private Redis.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    socket: PathBuf,
}

/// The URL of the Redis that runs, or would run, in a data folder.
pub fn url(root: &Path) -> String {
    format!("unix://{}", in_url(&socket(root)))
}

fn socket(root: &Path) -> PathBuf {
    root.join("redis/redis.sock")
}

/// Whether some process listens on the socket of a data folder's Redis.
pub async fn listens(root: &Path) -> bool {
    somebody_listens(&socket(root)).await
}

/// Whether the Redis of a data folder takes commands.
pub async fn answers(root: &Path) -> bool {
    let ping = tokio::time::timeout(ANSWER_WITHIN, ping(&socket(root))).await;
    ping.is_ok_and(|pong| pong.is_ok_and(|pong| pong))
}

/// Whether a data folder has the data of a Redis, whatever is in it.
pub fn is_made(root: &Path) -> bool {
    let entries = std::fs::read_dir(root.join("redis")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.as_encoded_bytes().starts_with(b"appendonly"))
}

impl Redis {
    /// Starts it and waits until it has loaded its data. `extra` are further command line options.
    ///
    /// # Errors
    /// The binary is missing, or its data cannot be loaded.
    pub async fn start(folder: &DataFolder, extra: &[&str]) -> Result<Self, StartError> {
        let data = folder.subfolder("redis", None)?;
        let socket = socket(folder.root());
        // It works in another folder than ours.
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

    /// Returns after it ended and was started again.
    pub async fn keep_alive(&mut self) -> Result<(), StartError> {
        self.child.revive().await?;
        self.wait_until_ready().await
    }

    /// Stops it; what it acknowledged is on disk.
    pub async fn stop(self) {
        self.child.stop().await;
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        loop {
            if ping(&self.socket).await.is_ok_and(|pong| pong) {
                return Ok(());
            }
            if self.child.has_ended() {
                return Err(self.child.complaint());
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
