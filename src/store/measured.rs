//! What micro-benchmarks reach of the store's inside. No node calls it.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Value};

use super::connection::stream::Items;
use super::reply::Reply;
use super::{Entry, Redeem, RedeemOutcome, Store, outbox, redeemed};
use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;

/// A store that is connected to nothing.
///
/// # Errors
/// A URL that is none.
pub fn unconnected(config: &config::Redis, metrics: Arc<Metrics>) -> Result<Store, Fault> {
    Store::new(config, metrics)
}

/// What is sent to redeem.
pub fn redeem_call(store: &Store, redeem: &Redeem<'_>) -> Cmd {
    let shard = store.shard(redeem.user);
    let keys = redeem.keys(&shard.keys);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    store.scripts.redeem.by_name(None, &keys, &redeem.arguments(store, shard))
}

/// What the script answers to that, as `redeem` reads it.
///
/// # Errors
/// It has another shape.
pub fn redeemed(reply: Value, per_minute: u32) -> Result<RedeemOutcome, Fault> {
    let values = Vec::from_redis_value(reply).map_err(|error| Fault::new("read_reply", error))?;
    let (redeemed, _) = redeemed::read(Reply::new("redeem", values), per_minute)?;
    Ok(redeemed.outcome)
}

/// What XRANGE says of the outbox, as entries; how many of them cannot be read is the second value.
///
/// # Errors
/// It has another shape.
pub fn entries(reply: Value, address: &Arc<str>) -> Result<(Vec<Entry>, usize), Fault> {
    let items = Items::from_redis_value(reply).map_err(|error| Fault::new("read_entries", error))?;
    let (entries, unread) = outbox::sort(0, address, items.0);
    Ok((entries, unread.len()))
}
