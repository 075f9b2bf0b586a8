//! The ledger: from the outbox to Postgres, and from Postgres to Redis.

mod acknowledge;
mod audit;
mod begin;
mod chain;
mod dead_letters;
mod game_sessions;
mod leader;
mod limits;
mod migrate;
mod older_copy;
mod outbox;
mod partitions;
mod pooler;
mod rebuild;
mod redis_failover;
mod reshard;
mod rollup;
mod seed;
mod verify;
mod write;

use uuid::Uuid;

use crate::harness::RedisClient;

/// The words of an outbox entry, in the order in which `src/store/outbox/entry.rs` declares them.
const WORDS: [&str; 19] = [
    "kind", "id", "user", "action", "points", "before", "after", "hlc_us", "at", "issued", "expires",
    "token", "session", "next", "actions", "held", "once", "trace", "proof",
];

/// An entry that awards a user's first 10 points, as something with write access to Redis would forge it. `changes` replaces words.
fn forged_entry(user: Uuid, hlc_us: i64, changes: &[(&str, &str)]) -> String {
    let (id, user, at) = (Uuid::new_v4().to_string(), user.to_string(), (hlc_us / 1000).to_string());
    let hlc_us = hlc_us.to_string();
    let word = |name: &str| match changes.iter().find(|it| it.0 == name) {
        Some((_, word)) => *word,
        None => match name {
            "kind" => "awarded",
            "id" => &id,
            "user" => &user,
            "action" => "watch_ad",
            "points" | "after" => "10",
            "before" | "held" => "0",
            "hlc_us" => &hlc_us,
            "at" | "issued" | "expires" => &at,
            "token" => "hash",
            _ => "",
        },
    };
    format!("1 {}", WORDS.map(word).join(" "))
}

/// Appends an entry to the outbox. Returns its id in the stream.
async fn append(redis_client: &mut RedisClient, entry: &str) -> String {
    redis_client.query_words(&["XADD", "outbox", "*", "entry", entry]).await
}
