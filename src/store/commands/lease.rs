//! `lua/lease.lua`.

use uuid::Uuid;

use crate::error::Fault;
use crate::network::Network;
use crate::store::script::declaration::script;
use crate::store::shard::Shard;
use crate::store::{MINUTE_MS, Store};

script! {
    lease as LeaseCall needs [rate]
    keys [rate]
    args {
        limit: u32 => tonumber,
        window_ms: u64,
        wanted: u32 => tonumber,
    }
}

/// What a rate-limit window counts requests of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// Every client of a network.
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

/// Requests that a node may serve without another call.
#[derive(Debug, PartialEq, Eq)]
pub struct QuotaLease {
    /// Number of requests; 0: the window is full.
    pub granted: u32,
    /// Milliseconds until the window closes, and the lease ends.
    pub closes_ms: u64,
}

impl Store {
    /// Leases up to `wanted` of the `limit` requests per minute; both are at least 1.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn lease(&self, subject: RateLimitKey, limit: u32, wanted: u32) -> Result<QuotaLease, Fault> {
        let (shard, key) = subject.place(self);
        let call = LeaseCall { rate: key.into(), limit, window_ms: MINUTE_MS, wanted };
        let mut reply = self.run(shard, &call).await?;
        let granted = reply.next()?;
        let closes_ms = reply.rate(limit)?.map_or(0, |it| it.reset_ms);
        Ok(QuotaLease { granted, closes_ms })
    }
}
