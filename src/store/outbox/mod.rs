//! The outbox: a stream of entries that Postgres does not have yet. `lua/lib/outbox.lua` writes it, `entry.rs` reads an entry, and the ledger
//! deletes what it has committed.

pub(in crate::store) mod entry;

use std::sync::Arc;

use futures::future::try_join_all;

use crate::error::Fault;
use crate::store::Store;
use crate::store::connection::stream::{Item, Items};
use crate::store::outbox::entry::{Entry, UnreadableEntry};
use crate::store::shard::Shard;

impl Store {
    /// Id of the newest entry of a shard that Postgres does not have yet.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn newest_entry(&self, shard: usize) -> Result<Option<String>, Fault> {
        let shard = &self.shards[shard];
        let mut range = redis::cmd("XREVRANGE");
        range.arg(&shard.keys.outbox).arg("+").arg("-").arg("COUNT").arg(1);
        let reply: Items = self.ask(shard, READING, &range).await?;
        Ok(reply.0.into_iter().next().map(|it| it.id))
    }

    /// Whether Postgres has every entry of a shard up to an id or a time.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn is_written_to(&self, shard: usize, stream_id: &str) -> Result<bool, Fault> {
        Ok(self.range(&self.shards[shard], stream_id).await?.0.is_empty())
    }

    /// Time of the oldest entry that Postgres does not have, in ms since the Unix epoch; none if it has all.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn oldest_entry_ms(&self) -> Result<Option<i64>, Fault> {
        let oldest = try_join_all(self.shards.iter().map(|shard| self.range(shard, "+"))).await?;
        let ms = |id: &str| id.split_once('-')?.0.parse().ok();
        Ok(oldest.iter().filter_map(|items| items.0.first()).filter_map(|item| ms(&item.id)).min())
    }

    /// The oldest entry of a shard, up to an id.
    async fn range(&self, shard: &Shard, to: &str) -> Result<Items, Fault> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&shard.keys.outbox).arg("-").arg(to).arg("COUNT").arg(1);
        self.ask(shard, READING, &range).await
    }

    /// At most `count` entries of a shard after an id, unreadable items, and the id of the last; none at the end.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn entries_after(
        &self,
        shard: usize,
        stream_id: &str,
        count: usize,
    ) -> Result<(Vec<Entry>, Vec<UnreadableEntry>, Option<String>), Fault> {
        let at = &self.shards[shard];
        let mut range = redis::cmd("XRANGE");
        range.arg(&at.keys.outbox).arg(format!("({stream_id}")).arg("+").arg("COUNT").arg(count);
        let server = at.server();
        let reply: Items = server.ask_here("read_outbox", &range).await?;
        let last = reply.0.last().map(|it| it.id.clone());
        let (entries, unread) = sort(shard, &server.address, reply.0);
        Ok((entries, unread, last))
    }

    /// An entry's text; none if it is gone, or another server serves its shard now.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn raw_entry(&self, entry: &Entry) -> Result<Option<Vec<u8>>, Fault> {
        let shard = &self.shards[entry.shard];
        let server = shard.server();
        if server.address != entry.address {
            return Ok(None);
        }
        let mut range = redis::cmd("XRANGE");
        range.arg(&shard.keys.outbox).arg(&entry.stream_id).arg(&entry.stream_id);
        let found: Items = server.ask_here(READING, &range).await?;
        Ok(found.0.first().map(Item::raw))
    }

    /// Deletes committed entries, so that the outbox has only what Postgres lacks. Returns how many it deleted.
    ///
    /// # Errors
    /// Redis is unavailable; the entries are read again later, and Postgres recognizes them.
    pub async fn ack(&self, entries: &[Entry]) -> Result<u64, Fault> {
        let mut gone = 0;
        for shard in &self.shards {
            let its = entries.iter().filter(|entry| entry.shard == shard.number);
            gone +=
                self.take_out(shard, its.map(|entry| (&*entry.address, entry.stream_id.as_str()))).await?;
        }
        Ok(gone)
    }

    /// Deletes an unreadable item, after it was stored as a dead letter.
    ///
    /// # Errors
    /// Redis is unavailable; the item is read again later.
    pub async fn ack_unreadable(&self, unread: &UnreadableEntry) -> Result<u64, Fault> {
        let place = (&*unread.address, unread.stream_id.as_str());
        self.take_out(&self.shards[unread.shard], std::iter::once(place)).await
    }

    /// Deletes entries, given by server address and id.
    async fn take_out<'a>(
        &self,
        shard: &Shard,
        places: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<u64, Fault> {
        // After a failover another entry may have the same id, so leave entries of the former server alone.
        let server = shard.server();
        let its: Vec<&str> =
            places.filter(|(address, _)| *address == &*server.address).map(|(_, id)| id).collect();
        if its.is_empty() {
            return Ok(0);
        }
        let mut delete = redis::cmd("XDEL");
        delete.arg(&shard.keys.outbox).arg(its);
        server.ask_here("ack entries", &delete).await
    }
}

/// An id before every entry.
pub const OLDEST: &str = "0-0";

const READING: &str = "read_outbox";

pub(in crate::store) fn sort(
    shard: usize,
    address: &Arc<str>,
    items: Vec<Item>,
) -> (Vec<Entry>, Vec<UnreadableEntry>) {
    let mut unread = Vec::new();
    let read = items.into_iter().filter_map(|item| {
        let read = Entry::read(shard, address, &item);
        if read.is_none() {
            unread.push(UnreadableEntry {
                shard,
                address: address.clone(),
                stream_id: item.id.clone(),
                raw: item.raw(),
            });
        }
        read
    });
    (read.collect(), unread)
}
