//! The outbox's stream: what Postgres does not have yet. `lua/lib/outbox.lua` writes it, `entry.rs` reads an entry; what is
//! committed is deleted.

use std::sync::Arc;

use futures::future::try_join_all;

use super::Store;
use super::connection::stream::{Item, Items};
use super::entry::{Entry, Unread, in_words};
use super::shard::Shard;
use crate::error::Fault;

impl Store {
    /// The newest entry of a user's shard that Postgres does not have yet.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn newest_entry(&self, shard: usize) -> Result<Option<String>, Fault> {
        let shard = &self.shards[shard];
        let mut range = redis::cmd("XREVRANGE");
        range.arg(&shard.keys.outbox).arg("+").arg("-").arg("COUNT").arg(1);
        let reply: Items = self.ask(shard, LOOK, &range).await?;
        Ok(reply.0.into_iter().next().map(|it| it.id))
    }

    /// Whether Postgres has everything up to an entry, or a time, of a shard.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn is_written_to(&self, shard: usize, stream_id: &str) -> Result<bool, Fault> {
        Ok(self.range(&self.shards[shard], stream_id).await?.0.is_empty())
    }

    /// When the oldest entry came that Postgres does not have, in ms since the Unix epoch; none if it has all.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn oldest_entry_ms(&self) -> Result<Option<i64>, Fault> {
        let oldest = try_join_all(self.shards.iter().map(|it| self.range(it, "+"))).await?;
        let ms = |id: &str| id.split_once('-')?.0.parse().ok();
        Ok(oldest.iter().filter_map(|it| it.0.first()).filter_map(|it| ms(&it.id)).min())
    }

    /// The oldest entry of a shard, up to a place in the stream.
    async fn range(&self, shard: &Shard, to: &str) -> Result<Items, Fault> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&shard.keys.outbox).arg("-").arg(to).arg("COUNT").arg(1);
        self.ask(shard, LOOK, &range).await
    }

    /// The entries of a shard after a place in its stream, at most `count`, and the place of the last; none at the end. Entries that
    /// cannot be read are the second value.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn entries_after(
        &self,
        shard: usize,
        stream_id: &str,
        count: usize,
    ) -> Result<(Vec<Entry>, Vec<Unread>, Option<String>), Fault> {
        let at = &self.shards[shard];
        let mut range = redis::cmd("XRANGE");
        range.arg(&at.keys.outbox).arg(format!("({stream_id}")).arg("+").arg("COUNT").arg(count);
        let server = at.server();
        let reply: Items = server.ask_here("read_outbox", &range).await?;
        let last = reply.0.last().map(|it| it.id.clone());
        let (entries, unread) = sort(shard, &server.address, reply.0);
        Ok((entries, unread, last))
    }

    /// An entry as it lies in the outbox; none if it has gone, or another server serves its shard by now.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn raw_entry(&self, entry: &Entry) -> Result<Option<Vec<u8>>, Fault> {
        let shard = &self.shards[entry.shard];
        let server = shard.server();
        if server.address != entry.address {
            return Ok(None);
        }
        let mut range = redis::cmd("XRANGE");
        range.arg(&shard.keys.outbox).arg(&entry.stream_id).arg(&entry.stream_id);
        let found: Items = server.ask_here(LOOK, &range).await?;
        let raw = |it: &Item| in_words(it).map_or_else(|| it.raw(), |text| text.into_owned().into_bytes());
        Ok(found.0.first().map(raw))
    }

    /// Takes committed entries out of the outbox: so its length is what Postgres does not have yet. Returns how many went.
    ///
    /// # Errors
    /// Redis is away; the entries are read again later, and Postgres knows them.
    pub async fn settle(&self, entries: &[Entry]) -> Result<u64, Fault> {
        let mut gone = 0;
        for shard in &self.shards {
            let its = entries.iter().filter(|it| it.shard == shard.number);
            gone += self.take_out(shard, its.map(|it| (&*it.address, it.stream_id.as_str()))).await?;
        }
        Ok(gone)
    }

    /// The same for one that cannot be read, once it is kept elsewhere.
    ///
    /// # Errors
    /// Redis is away; it is read again later.
    pub async fn settle_unread(&self, unread: &Unread) -> Result<u64, Fault> {
        let place = (&*unread.address, unread.stream_id.as_str());
        self.take_out(&self.shards[unread.shard], std::iter::once(place)).await
    }

    /// Takes out what lies at these places, each a server's address and a place in the stream.
    async fn take_out<'a>(
        &self,
        shard: &Shard,
        places: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<u64, Fault> {
        // What was read from a server that another has taken over from is left to whoever reads there.
        let server = shard.server();
        let its: Vec<&str> = places.filter(|it| it.0 == &*server.address).map(|it| it.1).collect();
        if its.is_empty() {
            return Ok(0);
        }
        let mut delete = redis::cmd("XDEL");
        delete.arg(&shard.keys.outbox).arg(its);
        server.ask_here("ack_entries", &delete).await
    }
}

/// Comes before every entry's id.
pub const OLDEST: &str = "0-0";

const LOOK: &str = "read_outbox";

pub(super) fn sort(shard: usize, address: &Arc<str>, items: Vec<Item>) -> (Vec<Entry>, Vec<Unread>) {
    let mut unread = Vec::new();
    let read = items.into_iter().filter_map(|item| {
        let read = Entry::read(shard, address, &item);
        if read.is_none() {
            unread.push(Unread {
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
