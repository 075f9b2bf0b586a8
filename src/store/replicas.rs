//! Waiting until replicas have what was written. `WAIT` holds up the connection it is asked on, so each server has one for it, and
//! all who wait at a moment share one question: replication is one ordered stream, so a replica that has the fence, a tiny
//! write of this connection, has everything that was written before it.

use std::convert::Infallible;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, oneshot};

use super::Store;
use super::connect::connect_to_run;
use super::redis_error::fault;
use crate::config;
use crate::error::Fault;

/// After a fault, before the next connection.
const PAUSE: Duration = Duration::from_millis(250);

/// Somebody who waits.
struct Waiter {
    /// The key to write, in a slot of the award's.
    fence: String,
    /// The run of Redis that wrote the award: the fence of another one says nothing.
    run: String,
    tell: oneshot::Sender<bool>,
}

/// Who waits at a server, and for what.
pub struct Replicas {
    client: redis::Client,
    wanted: u32,
    timeout_ms: u64,
    answer_ms: u64,
    /// Each is a request that is under way, so there are no more than those.
    waiting: Mutex<Vec<Waiter>>,
    somebody: Notify,
}

impl Replicas {
    /// As the settings say.
    pub fn new(client: redis::Client, config: &config::Redis) -> Self {
        Self {
            client,
            wanted: config.wait_replicas,
            timeout_ms: config.wait_timeout_ms,
            answer_ms: config.timeout_ms,
            waiting: Mutex::default(),
            somebody: Notify::new(),
        }
    }

    /// Waits until as many replicas as are wanted have what this run wrote before. False: they had not in time.
    async fn wait(&self, fence: String, run: String) -> bool {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().push(Waiter { fence, run, tell });
        self.somebody.notify_one();
        let most = Duration::from_millis(self.timeout_ms);
        matches!(tokio::time::timeout(most, told).await, Ok(Ok(true)))
    }

    /// Asks for all who wait, again and again, on one connection for as long as it lasts; while nobody waits, nothing runs.
    pub async fn fence_forever(&self) {
        loop {
            let Err(fault) = self.fence_on_one_connection().await;
            tracing::warn!(%fault, "awards wait for replicas");
            tell_all(self.take(), |_| false);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take(&self) -> Vec<Waiter> {
        std::mem::take(&mut *self.waiting.lock())
    }

    async fn fence_on_one_connection(&self) -> Result<Infallible, Fault> {
        let doing = "wait for replicas";
        let hangs_after = Duration::from_millis(self.timeout_ms + self.answer_ms);
        let timeout = Duration::from_millis(self.answer_ms);
        let (mut connection, run, _) = connect_to_run(&self.client, doing, timeout, hangs_after).await?;
        loop {
            let waiting = self.take();
            let Some(first) = waiting.first() else {
                self.somebody.notified().await;
                continue;
            };
            let reached = self.fence(&mut connection, &first.fence).await?;
            let another = waiting.iter().any(|it| it.run != run);
            tell_all(waiting, |it| reached >= self.wanted && it.run == run);
            if another {
                // The process may have become another run under this connection, by its replication id.
                return Err(Fault::retryable(doing, "an award is of another run"));
            }
        }
    }

    /// Returns how many replicas have what was written before.
    async fn fence(&self, connection: &mut MultiplexedConnection, key: &str) -> Result<u32, Fault> {
        let mut fence = redis::pipe();
        fence.set(key, 1).ignore();
        fence.cmd("WAIT").arg(self.wanted).arg(self.timeout_ms);
        let asked = fence.query_async(connection).await;
        asked.map(|(reached,)| reached).map_err(|error| fault("wait for replicas", error))
    }
}

fn tell_all(waiting: Vec<Waiter>, fenced: impl Fn(&Waiter) -> bool) {
    for waiter in waiting {
        let fenced = fenced(&waiter);
        // Whoever waited for too long has gone.
        let _ = waiter.tell.send(fenced);
    }
}

impl Store {
    /// Waits until as many replicas as the settings want have all that a `run` of Redis wrote of a user before the call. False: they
    /// had not in time, or it is another run by now. Where none are wanted, this costs nothing.
    pub async fn replicated(&self, user: uuid::Uuid, run: &str) -> bool {
        if self.wait_replicas == 0 {
            return true;
        }
        let shard = self.shard(user);
        let server = shard.server();
        server.fence();
        server.replicas.wait(shard.keys.fence.clone(), run.to_owned()).await
    }
}
