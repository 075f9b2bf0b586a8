//! Waiting until replicas have what was written. `WAIT` holds up the connection it is asked on, so it has one of its own, and
//! all who wait at a moment share one question: replication is one ordered stream, so a replica that has the fence, a tiny
//! write of this connection, has everything that was written before it.

use std::convert::Infallible;
use std::time::Duration;

use parking_lot::Mutex;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, oneshot};

use super::{Store, fault, keys};
use crate::config;
use crate::error::Fault;

/// After a fault, before the next connection.
const PAUSE: Duration = Duration::from_millis(250);

/// Who waits, and for what.
pub struct Replicas {
    wanted: u32,
    timeout_ms: u64,
    /// Each is a request that is under way, so there are no more than those.
    waiting: Mutex<Vec<oneshot::Sender<bool>>>,
    somebody: Notify,
}

impl Replicas {
    /// As the settings say.
    pub fn new(config: &config::Store) -> Self {
        Self {
            wanted: config.wait_replicas,
            timeout_ms: config.wait_timeout_ms,
            waiting: Mutex::default(),
            somebody: Notify::new(),
        }
    }

    fn take(&self) -> Vec<oneshot::Sender<bool>> {
        std::mem::take(&mut *self.waiting.lock())
    }

    fn tell(&self, fenced: bool) {
        tell(self.take(), fenced);
    }
}

impl Store {
    /// Waits until as many replicas as the settings want have all that was written before the call. False: they had not in
    /// time. Where none are wanted, this costs nothing.
    pub async fn replicated(&self) -> bool {
        let replicas = &self.replicas;
        if replicas.wanted == 0 {
            return true;
        }
        let (tell, told) = oneshot::channel();
        replicas.waiting.lock().push(tell);
        replicas.somebody.notify_one();
        let most = Duration::from_millis(replicas.timeout_ms);
        matches!(tokio::time::timeout(most, told).await, Ok(Ok(true)))
    }

    /// Asks for all who wait, again and again, on one connection for as long as it lasts; while nobody waits, nothing runs.
    pub async fn fence_forever(&self) {
        if self.replicas.wanted == 0 {
            return std::future::pending().await;
        }
        loop {
            let Err(fault) = self.fence_on_one_connection().await;
            tracing::warn!(%fault, "awards wait for replicas");
            self.replicas.tell(false);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn fence_on_one_connection(&self) -> Result<Infallible, Fault> {
        let hangs_after = Duration::from_millis(self.replicas.timeout_ms) + self.timeout;
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(hangs_after));
        let opened = self.client.get_multiplexed_async_connection_with_config(&settings).await;
        let mut connection = opened.map_err(|error| fault("wait for replicas", error))?;
        // What was written before this connection was there may have been written to a Redis that another has replaced.
        self.replicas.tell(false);
        loop {
            self.replicas.somebody.notified().await;
            let waiting = self.replicas.take();
            let reached = self.fence(&mut connection).await?;
            tell(waiting, reached >= self.replicas.wanted);
        }
    }

    /// Returns how many replicas have what was written before.
    async fn fence(&self, connection: &mut MultiplexedConnection) -> Result<u32, Fault> {
        let mut fence = redis::pipe();
        fence.set(keys::BOARD_FENCE, 1).ignore();
        fence.cmd("WAIT").arg(self.replicas.wanted).arg(self.replicas.timeout_ms);
        let asked = fence.query_async(connection).await;
        asked.map(|(reached,)| reached).map_err(|error| fault("wait for replicas", error))
    }
}

fn tell(waiting: Vec<oneshot::Sender<bool>>, fenced: bool) {
    for waiter in waiting {
        // Whoever waited for too long has gone.
        let _ = waiter.send(fenced);
    }
}
