//! Holds the ledger's leader lock, like a node that writes nothing, so that awards stay in the outbox.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The advisory lock of `src/ledger/leader.rs`.
const LOCK: i64 = 0x6c61_7572_656c;

pub struct HeldLeaderLock {
    stop: CancellationToken,
    keep_alive: JoinHandle<()>,
}

impl HeldLeaderLock {
    /// Takes the lock as soon as it is free.
    pub async fn take(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let keep_alive = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                sqlx::query("SELECT 1").execute(&mut connection).await.unwrap();
                tokio::select! { () = tokio::time::sleep(Duration::from_secs(1)) => {}, () = stopped.cancelled() => {} }
            }
            connection.close().await.unwrap();
        });
        Self { stop, keep_alive }
    }

    /// Takes the lock from the node that has it.
    pub async fn take_over(url: &str) -> Self {
        let mut database = PgConnection::connect(url).await.unwrap();
        let own_url = url.to_owned();
        let taking = tokio::spawn(async move { Self::take(&own_url).await });
        // By then it is the first in Postgres' queue for the lock.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let end_leader = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                          AND (classid::bigint << 32) | objid::bigint = $1";
        sqlx::query(end_leader).bind(LOCK).execute(&mut database).await.unwrap();
        taking.await.unwrap()
    }

    pub async fn release(self) {
        self.stop.cancel();
        self.keep_alive.await.unwrap();
    }
}
