//! The suite's own durable Redis and Postgres, on loopback ports that they keep over restarts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use laurel::embedded::{DataFolder, Holder, Postgres, Redis};

use crate::signal::{self, Paused};

/// Little preallocated WAL, so that a full disk has an effect at once.
const LITTLE_WAL: [&str; 4] =
    ["max_wal_size=64MB", "min_wal_size=32MB", "max_connections=100", "checkpoint_timeout=30s"];

/// A port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Opens the folder, once the processes of an earlier start have ended.
async fn open(path: &Path) -> DataFolder {
    for _ in 0..200 {
        if let Holder::Us(folder) = DataFolder::open(path).await.unwrap() {
            return folder;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} is still in use", path.display())
}

/// A Redis process that can be killed, paused and started on other data.
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

    /// Sends SIGKILL and waits until it has ended.
    pub async fn kill(&mut self) {
        let Some(server) = self.server.take() else { return };
        signal::send(server.pid().unwrap(), libc::SIGKILL);
        server.stop().await;
    }

    /// Starts it on its data, unless it runs.
    pub async fn restart(&mut self) {
        if self.server.is_none() {
            let port = self.port.to_string();
            let extra = ["--port", &port, "--bind", "127.0.0.1", "--appendfsync", &self.fsync];
            self.server = Some(Redis::start(&open(&self.folder).await, &extra).await.unwrap());
        }
    }

    /// Copies its data while it is paused, like a snapshot of the disk.
    pub fn copy(&self, to: &Path) {
        let _paused = Paused::new(&[self.pid().unwrap()]);
        copy_folder(&self.data(), to);
    }

    /// Replaces its data by an earlier copy. It must not run.
    pub fn replace_data(&self, copy: &Path) {
        self.delete_data();
        copy_folder(copy, &self.data());
    }

    /// Deletes its data. It must not run.
    pub fn delete_data(&self) {
        assert!(self.server.is_none());
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.join("redis")
    }
}

/// Copies files and folders, without sockets.
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

/// A Postgres process that can be killed and paused.
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

    /// Cleans up if it ended by itself, as it does when it cannot write its log.
    pub async fn kill_if_ended(&mut self) {
        if self.pid().is_none_or(signal::has_ended) {
            self.kill().await;
        }
    }

    /// Sends SIGKILL to it and all its backends, and waits until it has ended.
    pub async fn kill(&mut self) {
        let Some(server) = self.server.take() else { return };
        if let Some(pid) = server.pid() {
            signal::kill_family(pid);
        }
        server.stop().await;
    }

    /// Starts it on its data, unless it runs. Returns false if it did not start.
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
