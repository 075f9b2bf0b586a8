//! Nodes beside the one that has the private stores: they share these, and hold nothing but their sockets.

use std::process::Child;
use std::time::Duration;

use crate::cpu;
use crate::server::{self, Server};

/// All nodes must know the same one; a private one would be the first node's alone.
const SECRET: (&str, &str) = ("JWT_SECRET", "only for measuring, only for measuring, only for measuring");
/// Postgres' default lets a hundred connect, and seven nodes want to.
const FEW_CONNECTIONS: (&str, &str) = ("LAUREL_POSTGRES__MAX_CONNECTIONS", "8");

/// What the first node has to know, beside what it is measured with, so that others can join it.
pub fn settings() -> Vec<(&'static str, &'static str)> {
    [server::UNLIMITED, &[SECRET, FEW_CONNECTIONS]].concat()
}

pub struct Node {
    pub address: String,
    process: Child,
}

impl Node {
    /// Starts one on the stores of another.
    pub fn join(home: &Server, name: &str) -> Self {
        let data = home.folder().join("data");
        let redis = format!("unix://{}", data.join("redis/redis.sock").display());
        let postgres = format!("postgres:///laurel?host={}&user=laurel", data.join("postgres").display());
        let mut settings = settings();
        settings.extend([
            ("REDIS_URL", redis.as_str()),
            ("DATABASE_URL", postgres.as_str()),
            ("LAUREL_LIVE__NODE_NAME", name),
        ]);
        let (process, address) = server::serve(home.folder(), &settings);
        Self { address, process }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn resident_bytes(&self) -> f64 {
        server::resident_bytes(self.pid())
    }

    /// CPU seconds so far.
    pub fn cpu(&self) -> f64 {
        cpu::exactly(self.pid())
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: no memory is passed; the process is our child and not waited for yet, so the id is its own.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    /// Waits until it ended. None: by a signal.
    pub async fn exit_code(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
