//! What a minute came to.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::InfoDict;
use sqlx::PgConnection;
use tokio::time::Instant;

use super::Tally;
use super::crowd::Crowd;
use super::tables;
use crate::cpu::{Cpu, Pids, shared_bytes};
use crate::server::Server;

const MINUTE: Duration = Duration::from_secs(60);

/// A minute that goes on.
pub struct Minute {
    began: Instant,
    cpu: Cpu,
    wal_bytes: f64,
}

/// One that is over. Memory is in MiB, times are in ms.
#[derive(Default)]
pub struct Row {
    pub awards: u64,
    pub failed: u64,
    pub award_p50: f64,
    pub award_p99: f64,
    pub read_p50: f64,
    pub read_p99: f64,
    pub node: f64,
    pub redis: f64,
    /// What its keys and streams take of it.
    pub redis_used: f64,
    /// All its processes, what they share counted once.
    pub postgres: f64,
    pub keys: u64,
    /// Entries of the outbox that Postgres did not have, and what the stream took.
    pub outbox: u64,
    pub outbox_kib: f64,
    pub tables: f64,
    pub dead: i64,
    pub wal: f64,
    pub listeners: u64,
    /// CPU of the node, Redis and Postgres, µs an award, reads and listeners included.
    pub cpu_us: f64,
    /// Percent of the machine that was somebody else's.
    pub others: f64,
}

impl Minute {
    pub async fn begin(server: &Server, database: &mut PgConnection) -> Self {
        Self { began: Instant::now(), cpu: Cpu::of(server), wal_bytes: written_ahead(database).await }
    }

    pub fn ends(&self) -> Instant {
        self.began + MINUTE
    }

    /// Ends it and begins the next.
    pub async fn end(
        self,
        server: &Server,
        database: &mut PgConnection,
        answered: Tally,
        crowd: &Crowd,
    ) -> (Row, Self) {
        let next = Self { began: self.ends(), ..Self::begin(server, database).await };
        let cpu = next.cpu.since(&self.cpu);
        let machine = std::thread::available_parallelism().unwrap().get() as f64 * MINUTE.as_secs_f64();
        let mut redis = server.redis().await;
        let mut ask = redis::pipe();
        ask.cmd("INFO").cmd("DBSIZE").cmd("XLEN").arg("outbox").cmd("MEMORY").arg("USAGE").arg("outbox");
        let (said, keys, outbox, outbox_bytes): (InfoDict, u64, u64, Option<f64>) =
            ask.query_async(&mut redis).await.unwrap();
        let said = |name: &str| said.get::<f64>(name).unwrap();
        let tables = tables::look(database).await;
        let ms = |times: &hdrhistogram::Histogram<u64>, at| times.value_at_quantile(at) as f64 / 1000.0;
        let pids = Pids::of(server);
        let resident = |pids: &[u32]| mib(pids.iter().filter_map(|it| shared_bytes(*it)).sum());
        let awards = answered.awards.len();
        let row = Row {
            awards,
            failed: answered.failed,
            award_p50: ms(&answered.awards, 0.5),
            award_p99: ms(&answered.awards, 0.99),
            read_p50: ms(&answered.reads, 0.5),
            read_p99: ms(&answered.reads, 0.99),
            node: resident(&[pids.node]),
            redis: resident(&[pids.redis]),
            redis_used: mib(said("used_memory")),
            postgres: resident(&pids.postgres),
            keys,
            outbox,
            outbox_kib: outbox_bytes.unwrap_or_default() / 1024.0,
            tables: mib(tables.iter().map(|it| it.bytes).sum::<i64>() as f64),
            dead: tables.iter().map(|it| it.dead).sum(),
            wal: mib(next.wal_bytes - self.wal_bytes),
            listeners: crowd.here.load(Ordering::Relaxed),
            cpu_us: (cpu.node + cpu.redis + cpu.postgres) / awards as f64 * 1e6,
            others: cpu.others() / machine * 100.0,
        };
        (row, next)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} awards, {} failed, p50 {:.1} p99 {:.1} ms; MiB: node {:.0}, Redis {:.0}, Postgres {:.0}, tables {:.0}; {} entries wait",
            self.awards,
            self.failed,
            self.award_p50,
            self.award_p99,
            self.node,
            self.redis,
            self.postgres,
            self.tables,
            self.outbox
        )
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / (1024.0 * 1024.0)
}

async fn written_ahead(database: &mut PgConnection) -> f64 {
    let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}
