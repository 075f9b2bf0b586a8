//! The outbox's stream: what Postgres does not have yet. `lua/lib/outbox.lua` writes it; what is
//! committed is deleted.

use std::borrow::Cow;
use std::sync::Arc;

use futures::future::try_join_all;
use uuid::Uuid;

use super::shard::Shard;
use super::stream::{Item, Items};
use super::{Store, keys};
use crate::error::Fault;

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
    /// The number of the shard whose outbox has it.
    pub shard: usize,
    /// The server it was read from: on another one its place in the stream may be another entry's.
    pub address: Arc<str>,
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
    fn read(shard: usize, address: &Arc<str>, item: &Item) -> Option<Self> {
        let text = item.text("entry").map(Cow::Borrowed).or_else(|| in_words(item))?;
        let mut words = text.splitn(WORDS.len(), ' ');
        let mut next = || words.next();
        let kind = match next()? {
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
        let (id, user, action, points) =
            (next()?.parse().ok()?, next()?.parse().ok()?, next()?.to_owned(), number(next()?));
        let (before, after, moment) = (number(next()?), number(next()?), number(next()?));
        let award = match kind {
            EntryKind::Awarded | EntryKind::Adjusted | EntryKind::Voided => Some((before?, after?, moment?)),
            _ => None,
        };
        // What was held up to here is held no more.
        let clears = match kind {
            EntryKind::Voided | EntryKind::Confirmed => Some(moment?),
            _ => None,
        };
        Some(Self {
            shard,
            address: address.clone(),
            stream_id: item.id.clone(),
            kind,
            id,
            user,
            action,
            points: points.unwrap_or(0),
            award,
            clears,
            at_ms: number(next()?)?,
            issued_ms: number(next()?)?,
            expires_ms: number(next()?)?,
            token_hash: next()?.to_owned(),
            session: next()?.to_owned(),
            next_hash: next()?.to_owned(),
            actions: number(next()?).unwrap_or(0),
            held: next()? == "1",
            once: read_once(next()?),
            trace: Some(next()?).filter(|it| !it.is_empty()).map(str::to_owned),
            proof: next()?.to_owned(),
        })
    }
}

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
    /// cannot be read are left where they are and counted in the second value.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn entries_after(
        &self,
        shard: usize,
        stream_id: &str,
        count: usize,
    ) -> Result<(Vec<Entry>, usize, Option<String>), Fault> {
        let at = &self.shards[shard];
        let mut range = redis::cmd("XRANGE");
        range.arg(&at.keys.outbox).arg(format!("({stream_id}")).arg("+").arg("COUNT").arg(count);
        let server = at.server();
        let reply: Items = server.ask_here("read the outbox", &range).await?;
        let last = reply.0.last().map(|it| it.id.clone());
        let (entries, unreadable) = sort(shard, &server.address, reply.0);
        Ok((entries, unreadable, last))
    }

    /// Takes committed entries out of the outbox: so its length is what Postgres does not have yet. Returns how many went.
    ///
    /// # Errors
    /// Redis is away; the entries are read again later, and Postgres knows them.
    pub async fn settle(&self, entries: &[Entry]) -> Result<u64, Fault> {
        let mut gone = 0;
        for shard in &self.shards {
            // What was read from a server that another has taken over from is left to whoever reads there.
            let server = shard.server();
            let its = entries.iter().filter(|it| it.shard == shard.number && it.address == server.address);
            let its: Vec<&str> = its.map(|it| it.stream_id.as_str()).collect();
            if !its.is_empty() {
                let mut delete = redis::cmd("XDEL");
                delete.arg(&shard.keys.outbox).arg(its);
                gone += server.ask_here::<u64>("settle entries", &delete).await?;
            }
        }
        Ok(gone)
    }
}

/// The words of an entry, in their order; the last may have spaces.
const WORDS: [&str; 19] = [
    "kind", "id", "user", "action", "points", "before", "after", "moment", "at", "issued", "expires",
    "token", "session", "next", "actions", "held", "once", "trace", "proof",
];

/// An entry as older nodes write it, a field for each word: they may serve beside this one, and have left some when it started.
fn in_words(item: &Item) -> Option<Cow<'static, str>> {
    item.text("kind")?;
    let word = |name: &&str| match (*name, item.text(name).unwrap_or_default()) {
        ("once", keys) => keys.replace(' ', ","),
        (_, text) => text.to_owned(),
    };
    Some(WORDS.iter().map(word).collect::<Vec<_>>().join(" ").into())
}

fn number(word: &str) -> Option<i64> {
    word.parse().ok()
}

/// Reads `until,key,key…`, as `lua/lib/proof.lua` writes it, the keys with their shard's tag.
fn read_once(text: &str) -> Option<(i64, Vec<String>)> {
    let mut words = text.split(',');
    let until_ms = words.next()?.parse().ok()?;
    Some((until_ms, words.filter_map(|it| Some(it.split_once(keys::ONCE)?.1.to_owned())).collect()))
}

/// Comes before every entry's id.
pub const OLDEST: &str = "0-0";

const LOOK: &str = "look at the outbox";

pub(super) fn sort(shard: usize, address: &Arc<str>, items: Vec<Item>) -> (Vec<Entry>, usize) {
    let mut unreadable = 0;
    let read = items.into_iter().filter_map(|item| {
        let read = Entry::read(shard, address, &item);
        if read.is_none() {
            unreadable += 1;
            tracing::error!(stream_id = item.id, "an entry of the outbox cannot be read; it stays there");
        }
        read
    });
    (read.collect(), unreadable)
}
