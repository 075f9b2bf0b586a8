//! `lua/lease.lua`: leases of a rate limit.

use uuid::Uuid;

use super::shard::Shard;
use super::{MINUTE_MS, Store};
use crate::error::Fault;
use crate::network::Network;

/// The owner of a rate limit window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// All clients of a network.
    Network(Network),
    /// A logged-in user.
    User(Uuid),
}

impl RateLimitKey {
    fn place(self, store: &Store) -> (&Shard, String) {
        match self {
            Self::Network(network) => {
                let shard = store.shard_by(&network.to_string());
                (shard, shard.keys.request_rate_from(network))
            }
            Self::User(user) => {
                let shard = store.shard(user);
                (shard, shard.keys.request_rate(user))
            }
        }
    }
}

/// Requests that a node may serve without another call to Redis.
#[derive(Debug, PartialEq, Eq)]
pub struct QuotaLease {
    /// Number of requests; 0: the window is full.
    pub granted: u32,
    /// Milliseconds until the window closes and the lease expires.
    pub closes_ms: u64,
}

impl Store {
    /// Leases up to `wanted` of the key's `limit` requests per minute; both at least 1.
    ///
    /// # Errors
    /// Redis is unavailable, or its reply cannot be read.
    pub async fn lease(&self, key: RateLimitKey, limit: u32, wanted: u32) -> Result<QuotaLease, Fault> {
        let arguments = [limit.to_string(), MINUTE_MS.to_owned(), wanted.to_string()];
        let (shard, key) = key.place(self);
        let mut reply = self.run(shard, &self.scripts.lease, &[&key], &arguments).await?;
        let granted = reply.next()?;
        let closes_ms = reply.rate(limit)?.map_or(0, |it| it.reset_ms);
        Ok(QuotaLease { granted, closes_ms })
    }
}
