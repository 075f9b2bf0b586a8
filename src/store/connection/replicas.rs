//! Waiting for replicas. `WAIT` blocks its connection, so each server has a dedicated one, and all waiting requests share one call.
//! Replication is one ordered stream: a replica that has the fence, a small write on this connection, has every earlier write.

use std::convert::Infallible;
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use super::connect::connect_to_run;
use super::redis_error::fault;
use crate::batch::{Batch, Waiter};
use crate::config;
use crate::error::Fault;
use crate::store::Store;
use crate::supervise::Backoff;

const OPERATION: &str = "wait_for_replicas";

/// An award whose request waits.
struct WrittenAward {
    /// The key to write, in the slot of the award.
    fence: String,
    /// The run of Redis that wrote the award. A fence in another run proves nothing.
    run: String,
}

/// The requests that wait for the replicas of one server.
pub struct Replicas {
    client: redis::Client,
    wanted: u32,
    wait_timeout_ms: u64,
    reply_timeout_ms: u64,
    waiting: Batch<WrittenAward, bool>,
}

impl Replicas {
    /// With the settings.
    pub fn new(client: redis::Client, config: &config::Redis) -> Self {
        Self {
            client,
            wanted: config.wait_replicas,
            wait_timeout_ms: config.wait_timeout_ms,
            reply_timeout_ms: config.timeout_ms,
            waiting: Batch::default(),
        }
    }

    /// Waits until the wanted number of replicas has all earlier writes of this run. False if not in time.
    async fn wait(&self, fence: String, run: String) -> bool {
        let result = self.waiting.add(WrittenAward { fence, run });
        let timeout = Duration::from_millis(self.wait_timeout_ms);
        matches!(tokio::time::timeout(timeout, result).await, Ok(Ok(true)))
    }

    /// Serves waiting requests, on one connection while it lasts.
    pub async fn fence_forever(&self) {
        let mut backoff = Backoff::default();
        loop {
            let Err(fault) = self.fence_on_one_connection(&mut backoff).await;
            tracing::warn!(%fault, "waiting for replicas failed, awards are not confirmed");
            reply_all(self.waiting.take(), |_| false);
            backoff.wait().await;
        }
    }

    async fn fence_on_one_connection(&self, backoff: &mut Backoff) -> Result<Infallible, Fault> {
        let response_timeout = Duration::from_millis(self.wait_timeout_ms + self.reply_timeout_ms);
        let timeout = Duration::from_millis(self.reply_timeout_ms);
        let (mut connection, run, _) =
            connect_to_run(&self.client, OPERATION, timeout, response_timeout).await?;
        loop {
            let waiting = self.waiting.next().await;
            let reached = self.fence(&mut connection, &waiting[0].request.fence).await?;
            let has_other_run = waiting.iter().any(|waiter| waiter.request.run != run);
            reply_all(waiting, |award| reached >= self.wanted && award.run == run);
            if has_other_run {
                // The replication id of the process, which is a part of the run, may have changed under this connection.
                return Err(Fault::retryable(OPERATION, "the award is from another run of Redis"));
            }
            backoff.reset();
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

fn reply_all(waiting: Vec<Waiter<WrittenAward, bool>>, is_replicated: impl Fn(&WrittenAward) -> bool) {
    for waiter in waiting {
        let is_replicated = is_replicated(&waiter.request);
        // A request that timed out is gone.
        let _ = waiter.reply(is_replicated);
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
