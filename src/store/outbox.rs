//! The outbox's stream: what Postgres does not have yet. `lua/lib/outbox.lua` writes it; what is
//! committed is deleted.

use std::time::Duration;

use deadpool_redis::Connection;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use uuid::Uuid;

use super::{Store, fault, keys};
use crate::error::Fault;

/// A read that may block for at most a second and takes so long will not come back.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A token went out.
    Issued,
    /// It was redeemed.
    Awarded,
    /// Its proof failed, which spent it.
    Refused,
    /// A game session began, with its first token.
    Started,
    /// It ended before its time.
    Ended,
    /// An anti-spam token and its proof were given for a proven token.
    Traded,
    /// An operator changed a total.
    Adjusted,
    /// An operator took held points away.
    Voided,
    /// An operator let held points stand.
    Confirmed,
}

/// One entry, as `lua/lib/outbox.lua` writes it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the stream.
    pub stream_id: String,
    /// What happened.
    pub kind: EntryKind,
    /// The attempt's id: the event id of an award.
    pub id: Uuid,
    /// Whose token.
    pub user: Uuid,
    /// For which action.
    pub action: String,
    /// What it is worth.
    pub points: i64,
    /// The total before and after, and the board's moment; of what moves a total only.
    pub award: Option<(i64, i64, i64)>,
    /// Whether the points are held back, because the user was set aside.
    pub held: bool,
    /// The moment up to which nothing of the user's is held any more.
    pub clears: Option<i64>,
    /// Attestations that were used, each by its digest, and when they run out (ms).
    pub once: Option<(i64, Vec<String>)>,
    /// When it happened, ms by Redis' clock.
    pub at_ms: i64,
    /// When the token was issued.
    pub issued_ms: i64,
    /// When it would have run out.
    pub expires_ms: i64,
    /// SHA-256 of the token, in hex; empty while it is not redeemed.
    pub token_hash: String,
    /// The proof as JSON, or empty.
    pub proof: String,
    /// The game session, or empty.
    pub session: String,
    /// SHA-256 of the game token that went out with this, or empty.
    pub next_hash: String,
    /// Awards in the session so far.
    pub actions: i64,
    /// The `traceparent` to go on from, of what was traced.
    pub trace: Option<String>,
}

impl Entry {
    /// Reads an entry; `None` if it is not one of ours.
    fn read(entry: &StreamId) -> Option<Self> {
        let text = |field: &str| entry.get::<String>(field);
        let number = |field: &str| text(field)?.parse::<i64>().ok();
        let kind = match text("kind")?.as_str() {
            "issued" => EntryKind::Issued,
            "awarded" => EntryKind::Awarded,
            "refused" => EntryKind::Refused,
            "started" => EntryKind::Started,
            "ended" => EntryKind::Ended,
            "traded" => EntryKind::Traded,
            "adjusted" => EntryKind::Adjusted,
            "voided" => EntryKind::Voided,
            "confirmed" => EntryKind::Confirmed,
            _ => return None,
        };
        let award = match kind {
            EntryKind::Awarded | EntryKind::Adjusted | EntryKind::Voided => {
                Some((number("before")?, number("after")?, number("moment")?))
            }
            _ => None,
        };
        // What was held up to here is held no more.
        let clears = match kind {
            EntryKind::Voided | EntryKind::Confirmed => Some(number("moment")?),
            _ => None,
        };
        Some(Self {
            stream_id: entry.id.clone(),
            kind,
            id: text("id")?.parse().ok()?,
            user: text("user")?.parse().ok()?,
            action: text("action")?,
            points: number("points").unwrap_or(0),
            award,
            held: text("held").as_deref() == Some("1"),
            clears,
            once: text("once").and_then(|it| read_once(&it)),
            at_ms: number("at")?,
            issued_ms: number("issued")?,
            expires_ms: number("expires")?,
            token_hash: text("token")?,
            proof: text("proof")?,
            session: text("session")?,
            next_hash: text("next")?,
            actions: number("actions").unwrap_or(0),
            trace: text("trace"),
        })
    }
}

/// A reader of the outbox, from its oldest entry on, with a connection of its own that may block.
pub struct OutboxReader {
    connection: Connection,
    last_id: String,
}

impl Store {
    /// Takes a connection for blocking reads.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn outbox_reader(&self) -> Result<OutboxReader, Fault> {
        let connection = self.blocking.get().await.map_err(|error| Fault::away("read the outbox", error))?;
        Ok(OutboxReader { connection, last_id: OLDEST.to_owned() })
    }

    /// The newest entry that Postgres does not have yet.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn newest_entry(&self) -> Result<Option<String>, Fault> {
        let mut range = redis::cmd("XREVRANGE");
        range.arg(keys::OUTBOX).arg("+").arg("-").arg("COUNT").arg(1);
        let reply: StreamRangeReply = range
            .query_async(&mut self.command())
            .await
            .map_err(|error| fault("look at the outbox", error))?;
        Ok(reply.ids.into_iter().next().map(|it| it.id))
    }

    /// Whether Postgres has everything up to an entry.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn is_written_to(&self, stream_id: &str) -> Result<bool, Fault> {
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::OUTBOX).arg("-").arg(stream_id).arg("COUNT").arg(1);
        let reply: StreamRangeReply = range
            .query_async(&mut self.command())
            .await
            .map_err(|error| fault("look at the outbox", error))?;
        Ok(reply.ids.is_empty())
    }

    /// When the oldest entry came that Postgres does not have, in ms since the Unix epoch; none if it has all.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn oldest_entry_ms(&self) -> Result<Option<i64>, Fault> {
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::OUTBOX).arg("-").arg("+").arg("COUNT").arg(1);
        let reply: StreamRangeReply = self.ask("look at the outbox", &range).await?;
        let ms = |id: &str| id.split_once('-')?.0.parse().ok();
        Ok(reply.ids.first().and_then(|it| ms(&it.id)))
    }

    /// Takes committed entries out of the outbox: so its length is what Postgres does not have yet. Returns how many went.
    ///
    /// # Errors
    /// Redis is away; the entries are read again later, and Postgres knows them.
    pub async fn settle(&self, stream_ids: &[&str]) -> Result<u64, Fault> {
        let mut delete = redis::cmd("XDEL");
        delete.arg(keys::OUTBOX).arg(stream_ids);
        delete.query_async(&mut self.command()).await.map_err(|error| fault("settle entries", error))
    }
}

impl OutboxReader {
    /// The next entries, at most `count`, waiting at most `block_ms` for the first (0: not at all). Entries that cannot be read
    /// are left where they are and counted in the second value.
    ///
    /// # Errors
    /// Redis is away; this reader is of no more use.
    pub async fn read(&mut self, count: usize, block_ms: u64) -> Result<(Vec<Entry>, usize), Fault> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        if block_ms > 0 {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(keys::OUTBOX).arg(&self.last_id);
        let reply: Option<StreamReadReply> = command
            .query_async(&mut self.connection)
            .await
            .map_err(|error| fault("read the outbox", error))?;
        let entries: Vec<StreamId> = reply.into_iter().flat_map(|it| it.keys).flat_map(|it| it.ids).collect();
        if let Some(last) = entries.last() {
            self.last_id.clone_from(&last.id);
        }
        Ok(sort(entries))
    }

    /// Goes back to the oldest entry that is left.
    pub fn rewind(&mut self) {
        OLDEST.clone_into(&mut self.last_id);
    }
}

/// Reads `until key key…`, as `lua/lib/proof.lua` writes it.
fn read_once(text: &str) -> Option<(i64, Vec<String>)> {
    let mut words = text.split(' ');
    let until_ms = words.next()?.parse().ok()?;
    Some((until_ms, words.filter_map(|it| it.strip_prefix(keys::ONCE)).map(str::to_owned).collect()))
}

/// Comes before every entry's id.
const OLDEST: &str = "0-0";

fn sort(entries: impl IntoIterator<Item = StreamId>) -> (Vec<Entry>, usize) {
    let mut unreadable = 0;
    let read = entries.into_iter().filter_map(|entry| {
        let read = Entry::read(&entry);
        if read.is_none() {
            unreadable += 1;
            tracing::error!(stream_id = entry.id, "an entry of the outbox cannot be read; it stays there");
        }
        read
    });
    (read.collect(), unreadable)
}
