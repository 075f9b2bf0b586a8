//! The leader's reader of the outboxes of all shards. Each shard has its own connection with a blocking read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use deadpool_redis::Connection;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::redis_error::fault;
use super::server::Server;
use super::stream::{Item, Items};
use crate::error::Fault;
use crate::store::Store;
use crate::store::outbox::entry::{Entry, UnreadableEntry};
use crate::store::outbox::{OLDEST, sort};

/// Time-out of a blocking read. It must be longer than `block_ms`, which is at most a second.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A reader with its entries, or the shard whose reader failed.
type Read = Result<(Reader, Vec<Item>), (usize, Fault)>;

/// Pause between two attempts to reconnect failed shards.
const RECONNECT_EVERY: Duration = Duration::from_millis(500);

const OPERATION: &str = "read_outbox";

/// The reader of one shard.
struct Reader {
    shard: usize,
    /// The server of the connection. Its entries are stale once another server serves the shard.
    server: Arc<Server>,
    serving: Arc<ArcSwap<Server>>,
    outbox: String,
    connection: Connection,
    last_id: String,
}

/// A reader of all outboxes, from their oldest entries on.
pub struct OutboxReader {
    /// Readers without a read in progress.
    idle: Vec<Reader>,
    /// Reads in progress.
    reading: FuturesUnordered<BoxFuture<'static, Read>>,
    /// By shard: whether the reader returns to the oldest entry after its read in progress.
    rewound: Vec<bool>,
    /// Shards whose reader failed.
    failed: Vec<usize>,
    reconnected_at: Option<Instant>,
}

impl Store {
    /// Opens a reader.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn outbox_reader(&self) -> Result<OutboxReader, Fault> {
        let mut reader = OutboxReader {
            idle: Vec::new(),
            reading: FuturesUnordered::new(),
            rewound: vec![false; self.shards.len()],
            failed: (0..self.shards.len()).collect(),
            reconnected_at: None,
        };
        reader.reconnect_failed(self).await;
        if reader.idle.is_empty() {
            return Err(Fault::retryable(OPERATION, "no connection"));
        }
        Ok(reader)
    }

    async fn reader(&self, shard: usize) -> Result<Reader, Fault> {
        let shard = &self.shards[shard];
        let server = shard.server();
        let connection = server.blocking.get().await;
        let connection = connection.map_err(|error| Fault::retryable(OPERATION, error))?;
        let (number, serving, outbox) = (shard.number, shard.serving(), shard.keys.outbox.clone());
        Ok(Reader { shard: number, server, serving, outbox, connection, last_id: OLDEST.to_owned() })
    }
}

impl OutboxReader {
    /// Reads the next entries, at most `count` per shard. Waits up to `block_ms` for the first (0: does not wait). The second value has
    /// the entries that cannot be parsed.
    ///
    /// # Errors
    /// The only Redis is unavailable; open a new reader.
    pub async fn read(
        &mut self,
        count: usize,
        block_ms: u64,
    ) -> Result<(Vec<Entry>, Vec<UnreadableEntry>), Fault> {
        for reader in self.idle.drain(..) {
            self.reading.push(reader.read(count, block_ms).boxed());
        }
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        if self.reading.is_empty() {
            return Err(Fault::retryable(OPERATION, "no Redis answers"));
        }
        let mut next = self.reading.next().await;
        while let Some(read) = next {
            match read {
                Ok((reader, items)) => {
                    let (entries, unparsed) = self.finish(reader, items);
                    all.extend(entries);
                    unread.extend(unparsed);
                }
                Err((shard, fault)) if self.rewound.len() > 1 => {
                    tracing::warn!(shard, %fault, "outbox read failed, other shards go on");
                    self.failed.push(shard);
                }
                Err((_, fault)) => return Err(fault),
            }
            // Other reads that are done go into the same batch.
            next = self.next(block_ms == 0).await;
        }
        Ok((all, unread))
    }

    /// Ends a read. After a rewind its entries are dropped.
    fn finish(&mut self, mut reader: Reader, items: Vec<Item>) -> (Vec<Entry>, Vec<UnreadableEntry>) {
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

    /// Reconnects failed shards, at most every 500 ms and all in parallel, so that one shard does not delay the others.
    pub async fn reconnect_failed(&mut self, store: &Store) {
        if self.failed.is_empty() || self.reconnected_at.is_some_and(|it| it.elapsed() < RECONNECT_EVERY) {
            return;
        }
        let failed = std::mem::take(&mut self.failed);
        let readers =
            join_all(failed.into_iter().map(|shard| async move { (shard, store.reader(shard).await) })).await;
        for (shard, reader) in readers {
            match reader {
                Ok(reader) => self.idle.push(reader),
                Err(fault) => {
                    tracing::debug!(shard, %fault, "outbox reconnect failed");
                    self.failed.push(shard);
                }
            }
        }
        self.reconnected_at = Some(Instant::now());
    }

    /// Returns to the oldest entries.
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
    fn check_server(&self) -> Result<(), (usize, Fault)> {
        if Arc::ptr_eq(&self.serving.load(), &self.server) {
            return Ok(());
        }
        Err((self.shard, Fault::retryable(OPERATION, "the shard has moved to another Redis")))
    }

    async fn read(mut self, count: usize, block_ms: u64) -> Read {
        self.check_server()?;
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        if block_ms > 0 {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(&self.outbox).arg(&self.last_id);
        let reply: Result<Items, _> = command.query_async(&mut self.connection).await;
        let Items(items) = reply.map_err(|error| (self.shard, fault(OPERATION, error)))?;
        self.check_server()?;
        if let Some(last) = items.last() {
            self.last_id.clone_from(&last.id);
        }
        Ok((self, items))
    }
}
