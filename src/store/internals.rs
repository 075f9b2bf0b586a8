//! Entry points into the store for benchmarks, fuzzing, load tests and the tidy tests. No node calls them.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Value};

use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::store::commands::redeem_reply;
use crate::store::connection::stream::Items;
pub use crate::store::script::DECLARATIONS;
use crate::store::script::SCRIPTS;
pub use crate::store::script::declaration::{Argument, Declaration};
use crate::store::script::reply::Reply;
use crate::store::{AwardReply, Entry, Redeem, ScriptRefusal, Store, outbox};

/// A store without a connection.
///
/// # Errors
/// The URL is invalid.
pub fn unconnected(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Store, Fault> {
    Store::new(config, metrics)
}

/// The command that `redeem` sends.
pub fn redeem_call(store: &Store, redeem: &Redeem<'_>) -> Cmd {
    let shard = store.shard(redeem.user);
    SCRIPTS.redeem.by_sha(None, &redeem.call(store, shard, None))
}

/// Reads a reply of `redeem.lua`.
///
/// # Errors
/// The reply has another shape.
pub fn redeemed(reply: Value, per_minute: u32) -> Result<Result<AwardReply, ScriptRefusal>, Fault> {
    let (redeemed, _) = redeem_reply::read(Reply::new("redeem", reply), per_minute)?;
    Ok(redeemed.outcome)
}

/// Reads a reply of XRANGE on the outbox. The second value counts unreadable items.
///
/// # Errors
/// The reply has another shape.
pub fn entries(reply: Value, address: &Arc<str>) -> Result<(Vec<Entry>, usize), Fault> {
    let items = Items::from_redis_value(reply).map_err(|error| Fault::new("read_entries", error))?;
    let (entries, unread) = outbox::sort(0, address, items.0);
    Ok((entries, unread.len()))
}
