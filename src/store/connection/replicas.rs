//! Waiting for replicas. `WAIT` blocks its connection, so each server has a dedicated one, and all waiting requests share one call.
//! Replication is one ordered stream: a replica that has the fence, a small write on this connection, has every earlier write.

use std::convert::Infallible;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, oneshot};

use super::connect::connect_to_run;
use super::redis_error::fault;
use crate::config;
use crate::error::Fault;
use crate::store::Store;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

const OPERATION: &str = "wait_for_replicas";

/// A waiting request.
struct Waiter {
    /// The key to write, in the slot of the award.
    fence: String,
    /// The run of Redis that wrote the award. A fence in another run proves nothing.
    run: String,
    reply: oneshot::Sender<bool>,
}

/// The requests that wait for the replicas of one server.
pub struct Replicas {
    client: redis::Client,
    wanted: u32,
    wait_timeout_ms: u64,
    reply_timeout_ms: u64,
    /// Bounded by the number of requests in progress.
    waiting: Mutex<Vec<Waiter>>,
    new_waiter: Notify,
}

impl Replicas {
    /// With the settings.
    pub fn new(client: redis::Client, config: &config::Redis) -> Self {
        Self {
            client,
            wanted: config.wait_replicas,
            wait_timeout_ms: config.wait_timeout_ms,
            reply_timeout_ms: config.timeout_ms,
            waiting: Mutex::default(),
            new_waiter: Notify::new(),
        }
    }

    /// Waits until the wanted number of replicas has all earlier writes of this run. False if not in time.
    async fn wait(&self, fence: String, run: String) -> bool {
        let (reply, result) = oneshot::channel();
        self.waiting.lock().push(Waiter { fence, run, reply });
        self.new_waiter.notify_one();
        let timeout = Duration::from_millis(self.wait_timeout_ms);
        matches!(tokio::time::timeout(timeout, result).await, Ok(Ok(true)))
    }

    /// Serves waiting requests, on one connection while it lasts.
    pub async fn fence_forever(&self) {
        loop {
            let Err(fault) = self.fence_on_one_connection().await;
            tracing::warn!(%fault, "waiting for replicas failed, awards are not confirmed");
            reply_all(self.take(), |_| false);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take(&self) -> Vec<Waiter> {
        std::mem::take(&mut *self.waiting.lock())
    }

    async fn fence_on_one_connection(&self) -> Result<Infallible, Fault> {
        let response_timeout = Duration::from_millis(self.wait_timeout_ms + self.reply_timeout_ms);
        let timeout = Duration::from_millis(self.reply_timeout_ms);
        let (mut connection, run, _) =
            connect_to_run(&self.client, OPERATION, timeout, response_timeout).await?;
        loop {
            let waiting = self.take();
            let Some(first) = waiting.first() else {
                self.new_waiter.notified().await;
                continue;
            };
            let reached = self.fence(&mut connection, &first.fence).await?;
            let has_other_run = waiting.iter().any(|it| it.run != run);
            reply_all(waiting, |waiter| reached >= self.wanted && waiter.run == run);
            if has_other_run {
                // The replication id of the process, which is a part of the run, may have changed under this connection.
                return Err(Fault::retryable(OPERATION, "the award is from another run of Redis"));
            }
        }
    }

    /// Writes a fence and returns how many replicas have it.
    async fn fence(&self, connection: &mut MultiplexedConnection, key: &str) -> Result<u32, Fault> {
        let mut fence = redis::pipe();
        fence.set(key, 1).ignore();
        fence.cmd("WAIT").arg(self.wanted).arg(self.wait_timeout_ms);
        let reply = fence.query_async(connection).await;
        reply.map(|(reached,)| reached).map_err(|error| fault(OPERATION, error))
    }
}

fn reply_all(waiting: Vec<Waiter>, is_replicated: impl Fn(&Waiter) -> bool) {
    for waiter in waiting {
        let is_replicated = is_replicated(&waiter);
        // A request that timed out is gone.
        let _ = waiter.reply.send(is_replicated);
    }
}

impl Store {
    /// Waits until `redis.wait_replicas` replicas have all that a `run` of Redis wrote for a user before this call. False if not in time, or
    /// if the run has changed. Returns at once if the setting is 0.
    pub async fn replicated(&self, user: uuid::Uuid, run: &str) -> bool {
        if self.wait_replicas == 0 {
            return true;
        }
        let shard = self.shard(user);
        let server = shard.server();
        server.start_replica_waiter();
        server.replicas.wait(shard.keys.fence.clone(), run.to_owned()).await
    }
}
