//! The ledger's lead, held as another node would that writes nothing: so what is written stays in the outbox.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// `src/ledger/leader.rs`: who holds it writes, and nobody else.
const LEAD: i64 = 0x6c61_7572_656c;

pub struct Holding {
    stop: CancellationToken,
    beats: JoinHandle<()>,
}

impl Holding {
    /// Takes it as soon as it is free.
    pub async fn take(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)").bind(LEAD).execute(&mut connection).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let beats = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                sqlx::query("SELECT 1").execute(&mut connection).await.unwrap();
                tokio::select! { () = tokio::time::sleep(Duration::from_secs(1)) => {}, () = stopped.cancelled() => {} }
            }
            connection.close().await.unwrap();
        });
        Self { stop, beats }
    }

    /// Takes it from the node that has it.
    pub async fn take_over(url: &str, database: &mut PgConnection) -> Self {
        let own = url.to_owned();
        let waits = tokio::spawn(async move { Self::take(&own).await });
        // It stands first in the line by then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                     AND (classid::bigint << 32) | objid::bigint = $1";
        sqlx::query(ended).bind(LEAD).execute(database).await.unwrap();
        waits.await.unwrap()
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.beats.await.unwrap();
    }
}
