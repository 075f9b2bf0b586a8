//! The leader's reader of all shards' outboxes. Each shard's is read over a connection of its own, which waits there for entries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use deadpool_redis::Connection;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::Store;
use super::entry::{Entry, Unread};
use super::outbox::{OLDEST, sort};
use super::redis_error::fault;
use super::server::Server;
use super::stream::{Item, Items};
use crate::error::Fault;

/// A read that may block for at most a second and takes so long will not come back.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);

/// A reader and what it has read, or the shard whose reader is of no more use.
type Read = Result<(Reader, Vec<Item>), (usize, Fault)>;

/// Between two tries to come back to a shard.
const REVIVE_EVERY: Duration = Duration::from_millis(500);

/// One shard's outbox.
struct Reader {
    shard: usize,
    /// Where the connection goes: what is read there says nothing of a server that has taken over.
    server: Arc<Server>,
    serving: Arc<ArcSwap<Server>>,
    outbox: String,
    connection: Connection,
    last_id: String,
}

/// A reader of every outbox, from its oldest entry on.
pub struct OutboxReader {
    /// Those that are to be asked next.
    idle: Vec<Reader>,
    /// Those that wait for entries, or have some.
    reading: FuturesUnordered<BoxFuture<'static, Read>>,
    /// Those that are to go back to the oldest entry when they come.
    rewound: Vec<bool>,
    /// Those whose Redis is away.
    lost: Vec<usize>,
    revived: Option<Instant>,
}

impl Store {
    /// Takes the connections for blocking reads.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn outbox_reader(&self) -> Result<OutboxReader, Fault> {
        let lost = (0..self.shards.len()).collect();
        let rewound = vec![false; self.shards.len()];
        let mut reader =
            OutboxReader { idle: Vec::new(), reading: FuturesUnordered::new(), rewound, lost, revived: None };
        reader.revive(self).await;
        if reader.idle.is_empty() {
            return Err(Fault::retryable("read the outbox", "no connection"));
        }
        Ok(reader)
    }

    async fn reader(&self, shard: usize) -> Result<Reader, Fault> {
        let shard = &self.shards[shard];
        let server = shard.server();
        let connection = server.blocking.get().await;
        let connection = connection.map_err(|error| Fault::retryable("read the outbox", error))?;
        let (number, serving, outbox) = (shard.number, shard.serving(), shard.keys.outbox.clone());
        Ok(Reader { shard: number, server, serving, outbox, connection, last_id: OLDEST.to_owned() })
    }
}

impl OutboxReader {
    /// The next entries, at most `count` of each shard, waiting at most `block_ms` for the first (0: not at all). Entries that cannot be read
    /// are the second value.
    ///
    /// # Errors
    /// The only Redis is away; this reader is of no more use.
    pub async fn read(&mut self, count: usize, block_ms: u64) -> Result<(Vec<Entry>, Vec<Unread>), Fault> {
        for reader in self.idle.drain(..) {
            self.reading.push(reader.read(count, block_ms).boxed());
        }
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        if self.reading.is_empty() {
            return Err(Fault::retryable("read the outbox", "no Redis answers"));
        }
        let mut next = self.reading.next().await;
        while let Some(read) = next {
            match read {
                Ok((reader, items)) => {
                    let (entries, bad) = self.take(reader, items);
                    all.extend(entries);
                    unread.extend(bad);
                }
                Err((shard, fault)) if self.rewound.len() > 1 => {
                    tracing::warn!(shard, %fault, "a shard's outbox waits");
                    self.lost.push(shard);
                }
                Err((_, fault)) => return Err(fault),
            }
            // Whoever else has some by now goes into the same batch.
            next = self.next(block_ms == 0).await;
        }
        Ok((all, unread))
    }

    /// Takes back a reader with what it has read.
    fn take(&mut self, mut reader: Reader, items: Vec<Item>) -> (Vec<Entry>, Vec<Unread>) {
        let (shard, address) = (reader.shard, reader.server.address.clone());
        let rewound = std::mem::take(&mut self.rewound[shard]);
        if rewound {
            OLDEST.clone_into(&mut reader.last_id);
        }
        self.idle.push(reader);
        if rewound { (Vec::new(), Vec::new()) } else { sort(shard, &address, items) }
    }

    async fn next(&mut self, waits: bool) -> Option<Read> {
        if waits { self.reading.next().await } else { self.reading.next().now_or_never().flatten() }
    }

    /// Comes back to shards whose Redis was away, now and then and to all at once: one shard holds up no other.
    pub async fn revive(&mut self, store: &Store) {
        if self.lost.is_empty() || self.revived.is_some_and(|it| it.elapsed() < REVIVE_EVERY) {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        let tried =
            join_all(lost.into_iter().map(|shard| async move { (shard, store.reader(shard).await) })).await;
        for (shard, reader) in tried {
            match reader {
                Ok(reader) => self.idle.push(reader),
                Err(fault) => {
                    tracing::debug!(shard, %fault, "a shard's outbox cannot be read");
                    self.lost.push(shard);
                }
            }
        }
        self.revived = Some(Instant::now());
    }

    /// Goes back to the oldest entries that are left.
    pub fn rewind(&mut self) {
        for reader in &mut self.idle {
            OLDEST.clone_into(&mut reader.last_id);
        }
        let idle: Vec<usize> = self.idle.iter().map(|it| it.shard).collect();
        for (shard, rewound) in self.rewound.iter_mut().enumerate() {
            *rewound |= !idle.contains(&shard);
        }
    }
}

impl Reader {
    fn is_served(&self) -> Result<(), (usize, Fault)> {
        if Arc::ptr_eq(&self.serving.load(), &self.server) {
            return Ok(());
        }
        Err((self.shard, Fault::retryable("read the outbox", "another Redis serves it by now")))
    }

    async fn read(mut self, count: usize, block_ms: u64) -> Read {
        self.is_served()?;
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        if block_ms > 0 {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(&self.outbox).arg(&self.last_id);
        let reply: Result<Items, _> = command.query_async(&mut self.connection).await;
        let Items(items) = reply.map_err(|error| (self.shard, fault("read the outbox", error)))?;
        self.is_served()?;
        if let Some(last) = items.last() {
            self.last_id.clone_from(&last.id);
        }
        Ok((self, items))
    }
}
