//! `lua/lease.lua`.

use uuid::Uuid;

use super::shard::Shard;
use super::{MINUTE_MS, Store};
use crate::error::Fault;
use crate::network::Network;

/// Whose requests a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visitor {
    /// Whoever calls from a network.
    Network(Network),
    /// A user with a login.
    User(Uuid),
}

impl Visitor {
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

/// Requests that a node may serve without asking again.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// How many; 0: the window is full.
    pub granted: u32,
    /// Milliseconds until the window closes, and the lease with it.
    pub closes_ms: u64,
}

impl Store {
    /// Leases up to `wanted` of the visitor's `limit` requests a minute; both at least 1.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn lease(&self, visitor: Visitor, limit: u32, wanted: u32) -> Result<Lease, Fault> {
        let arguments = [limit.to_string(), MINUTE_MS.to_owned(), wanted.to_string()];
        let (shard, key) = visitor.place(self);
        let mut reply = self.run(shard, &self.scripts.lease, &[&key], &arguments).await?;
        let granted = reply.next()?;
        let closes_ms = reply.rate(limit)?.map_or(0, |it| it.reset_ms);
        Ok(Lease { granted, closes_ms })
    }
}
