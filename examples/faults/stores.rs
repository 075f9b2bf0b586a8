//! The suite's own Redis and Postgres: real ones, durable, on loopback ports that stay theirs over restarts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use laurel::embedded::{DataFolder, Holder, Postgres, Redis};

use crate::signal::{self, Paused};

/// Postgres keeps little WAL ahead, so that a full disk is felt at once.
const LITTLE_WAL: [&str; 4] =
    ["max_wal_size=64MB", "min_wal_size=32MB", "max_connections=100", "checkpoint_timeout=30s"];

/// A port that was free just now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The folder, once the processes of an earlier start let go of it.
async fn open(path: &Path) -> DataFolder {
    for _ in 0..200 {
        if let Holder::Us(folder) = DataFolder::open(path).await.unwrap() {
            return folder;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} is still in use", path.display())
}

/// Redis, as a process that can be killed, paused and given other data.
pub struct RedisStore {
    pub port: u16,
    fsync: String,
    folder: PathBuf,
    server: Option<Redis>,
}

impl RedisStore {
    pub async fn start(folder: PathBuf, fsync: &str) -> Self {
        let mut store = Self { port: free_port(), fsync: fsync.to_owned(), folder, server: None };
        store.restart().await;
        store
    }

    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref()?.pid()
    }

    /// SIGKILL, and gone.
    pub async fn kill(&mut self) {
        let Some(server) = self.server.take() else { return };
        signal::send(server.pid().unwrap(), libc::SIGKILL);
        server.stop().await;
    }

    /// Starts it on its data, if it does not run.
    pub async fn restart(&mut self) {
        if self.server.is_none() {
            let port = self.port.to_string();
            let extra = ["--port", &port, "--bind", "127.0.0.1", "--appendfsync", &self.fsync];
            self.server = Some(Redis::start(&open(&self.folder).await, &extra).await.unwrap());
        }
    }

    /// Copies its data while it stands still: what a disk's snapshot would hold.
    pub fn copy(&self, to: &Path) {
        let _paused = Paused::new(&[self.pid().unwrap()]);
        copy_folder(&self.data(), to);
    }

    /// Puts an earlier copy in the place of its data; it must not run.
    pub fn replace_data(&self, by: &Path) {
        self.lose_data();
        copy_folder(by, &self.data());
    }

    /// Throws its data away; it must not run.
    pub fn lose_data(&self) {
        assert!(self.server.is_none());
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.join("redis")
    }
}

/// Copies files and folders; sockets stay where they are.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Postgres, the same.
pub struct PostgresStore {
    pub port: u16,
    pub folder: PathBuf,
    server: Option<Postgres>,
}

impl PostgresStore {
    pub async fn start(folder: PathBuf) -> Self {
        let mut store = Self { port: free_port(), folder, server: None };
        assert!(store.restart().await, "Postgres does not start; see {}", store.folder.display());
        store
    }

    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref()?.pid()
    }

    /// Notices that it ended by itself, as it does when it cannot write its log.
    pub async fn kill_if_ended(&mut self) {
        if self.pid().is_none_or(signal::has_ended) {
            self.kill().await;
        }
    }

    /// SIGKILL to it and all its backends, and gone.
    pub async fn kill(&mut self) {
        let Some(server) = self.server.take() else { return };
        if let Some(pid) = server.pid() {
            signal::kill_family(pid);
        }
        server.stop().await;
    }

    /// Starts it on its data, if it does not run. False: it did not come up.
    pub async fn restart(&mut self) -> bool {
        if self.server.is_none() {
            let port = format!("port={}", self.port);
            let mut extra = vec!["listen_addresses=127.0.0.1", &port];
            extra.extend(LITTLE_WAL);
            match Postgres::start(&open(&self.folder).await, &extra).await {
                Ok(server) => self.server = Some(server),
                Err(error) => eprintln!("  {error}"),
            }
        }
        self.server.is_some()
    }
}
