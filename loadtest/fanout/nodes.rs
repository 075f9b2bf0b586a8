//! Nodes that share the stores of another one and serve only sockets.

use std::process::Child;

use crate::server::{self, Server};
use crate::usage;

/// All nodes need the same secret; a private one would belong to the first node alone.
const SECRET: (&str, &str) = ("JWT_SECRET", "only for measuring, only for measuring, only for measuring");
/// Seven nodes share Postgres' default of 100 connections.
const FEW_CONNECTIONS: (&str, &str) = ("LAUREL_POSTGRES__MAX_CONNECTIONS", "8");

/// Settings of a server whose stores others share.
pub fn settings() -> Vec<(&'static str, &'static str)> {
    [server::UNLIMITED, &[SECRET, FEW_CONNECTIONS]].concat()
}

pub struct Node {
    pub address: String,
    process: Child,
}

impl Node {
    /// Starts a node on the stores of a server.
    pub fn start(stores: &Server, name: &str) -> Self {
        let redis = format!("unix://{}", stores.data().join("redis/redis.sock").display());
        let postgres = stores.postgres_url();
        let mut settings = settings();
        settings.extend([
            ("REDIS_URL", redis.as_str()),
            ("DATABASE_URL", postgres.as_str()),
            ("LAUREL_LIVE__NODE_NAME", name),
        ]);
        let (process, address) = server::serve(stores.folder(), &settings);
        Self { address, process }
    }

    pub fn resident_bytes(&self) -> f64 {
        usage::resident_bytes(self.process.id())
    }

    pub fn cpu_seconds(&self) -> f64 {
        usage::precise_process_seconds(self.process.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
