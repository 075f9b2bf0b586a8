//! The node's work for an entry of the outbox on its way to the ledger.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use laurel::ledger::{GENESIS_HASH, Link};
use laurel::store::internals;

use crate::{bulk_strings, user};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// Entries per read.
const ENTRIES: usize = 100;

#[divan::bench]
fn hash_link(bencher: Bencher<'_, '_>) {
    let link = Link {
        event_id: user(1),
        user: user(2),
        action: "watch_ad",
        points: 10,
        token_hash: HASH,
        before: 1230,
        after: 1240,
        hlc_us: 1_790_000_000_000_000,
        created_us: 1_790_000_000_000_000,
        note: "",
    };
    bencher.bench(|| divan::black_box(&link).hash(7, &GENESIS_HASH));
}

/// Reads a reply of Redis with a hundred entries.
#[divan::bench]
fn read_entries(bencher: Bencher<'_, '_>) {
    let reply = format!("*{ENTRIES}\r\n{}", (0..ENTRIES).map(entry).collect::<String>());
    let address: Arc<str> = "unix".into();
    let read = |reply: &str| {
        let value = redis::parse_redis_value(reply.as_bytes()).expect("it is a RESP value");
        internals::entries(value, &address).expect("they are entries")
    };
    assert_eq!(read(&reply).0.len(), ENTRIES);
    bencher.counter(ItemsCount::new(ENTRIES)).bench(|| read(divan::black_box(&reply)));
}

fn entry(place: usize) -> String {
    let (id, user) = (user(place as u128).to_string(), user(place as u128 + 1).to_string());
    let ms = "1790000000000 1790000000000 1790000030000";
    let text = format!("1 awarded {id} {user} watch_ad 10 1230 1240 1790000000000000 {ms} {HASH}    0    ");
    let id = format!("1790000000000-{place}");
    format!("*2\r\n${}\r\n{id}\r\n{}", id.len(), bulk_strings(&["entry", &text]))
}
