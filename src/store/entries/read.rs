//! `lua/read_entries.lua`.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::Store;
use crate::store::entries::PeriodKey;
use crate::store::entries::apply::split_suffix;
use crate::store::entries::order::{EntryOrder, Ranked};
use crate::store::script::declaration::script;
use crate::store::script::reply::Reply;

script! {
    read_entries as ReadEntriesCall needs [clock entry_order]
    keys [board entries results state]
    args {
        split: &'a str,
        order_bytes: usize => tonumber,
        ranking: &'static str,
        place: &'static str,
        place_value: &'a [u8],
        place_member: &'a [u8],
        limit: usize => tonumber,
        top: usize => tonumber,
    }
    more_args { users: &'a [u8] }
}

/// Where a window of entries is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At a position from 0.
    At(u64),
    /// With this user's entry in the middle.
    Around(Uuid),
    /// Right behind an entry, whether or not it is still there.
    After(Ranked, Uuid),
    /// Right before an entry.
    Before(Ranked, Uuid),
}

/// A read of a period's entries.
#[derive(Clone, Debug)]
pub struct EntriesQuery<'a> {
    /// Which period.
    pub key: PeriodKey<'a>,
    /// The value of the tag that the board is split by.
    pub split: Option<&'a str>,
    /// How the board orders entries.
    pub order: EntryOrder,
    /// `competition`, `dense` or `ordinal`.
    pub ranking: &'static str,
    /// Whether the board limits the awards that count.
    pub counts_attempts: bool,
    /// Where the window is.
    pub place: Place,
    /// Most entries of the window.
    pub limit: usize,
    /// Best entries to add before the window.
    pub top: usize,
    /// Users whose entries are wanted too.
    pub users: &'a [Uuid],
}

/// An entry and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedEntry {
    /// The user.
    pub user: Uuid,
    /// The user's name.
    pub username: String,
    /// The result.
    pub result: Ranked,
    /// The position from 1, unique.
    pub position: u64,
    /// The rank, equal for equal results unless the board is `ordinal`.
    pub rank: u64,
    /// The awards that count, up to the board's limit; `None`: it has none.
    pub attempts: Option<u32>,
}

/// What a read of a period returns.
#[derive(Clone, Debug)]
pub struct EntriesPage {
    /// Time of the read in ms, by Redis' clock.
    pub now_ms: i64,
    /// Everything redeemed until then is counted (ms); 0: the period is not loaded.
    pub as_of_ms: i64,
    /// Version of the board; 0: it was never loaded.
    pub version: i64,
    /// The sequence number of the ledger at which it stands; `None`: it is not loaded, or is to be loaded again.
    pub seq: Option<i64>,
    /// Entries on the board.
    pub total: u64,
    /// The best entries above the window, if they were wanted.
    pub top: Vec<PlacedEntry>,
    /// The window.
    pub window: Vec<PlacedEntry>,
    /// The entries of the given users, as far as they have one.
    pub users: Vec<PlacedEntry>,
}

impl Store {
    /// Reads a window of a period's entries.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn read_entries(&self, query: &EntriesQuery<'_>) -> Result<EntriesPage, Fault> {
        let shard = self.board_place(query.key.board);
        let (period, split) = (query.key.scores(&shard), split_suffix(query.split));
        let scores = format!("{period}{split}");
        let (place, value, member) = place(query);
        let users: Vec<&[u8]> = query.users.iter().map(|user| user.as_bytes().as_slice()).collect();
        let call = ReadEntriesCall {
            entries: format!("{scores}:entries").into(),
            results: format!("{scores}:results").into(),
            state: format!("{period}:state").into(),
            board: scores.into(),
            split: &split,
            order_bytes: query.order.key_bytes(),
            ranking: query.ranking,
            place,
            place_value: &value,
            place_member: &member,
            limit: query.limit,
            top: query.top,
            users: &users,
        };
        let mut reply = self.run(&shard, &call).await?;
        let (now_ms, as_of_ms, version) = (reply.next()?, reply.next()?, reply.next()?);
        let (seq, total): (i64, u64) = (reply.next()?, reply.next()?);
        let seq = (seq >= 0).then_some(seq);
        let (top, window, users): (usize, usize, usize) = (reply.next()?, reply.next()?, reply.next()?);
        let read = |reply: &mut Reply, count: usize| -> Result<Vec<PlacedEntry>, Fault> {
            (0..count).map(|_| read_entry(reply, query)).collect()
        };
        let (top, window, users) =
            (read(&mut reply, top)?, read(&mut reply, window)?, read(&mut reply, users)?);
        Ok(EntriesPage { now_ms, as_of_ms, version, seq, total, top, window, users })
    }
}

fn place(query: &EntriesQuery<'_>) -> (&'static str, Vec<u8>, Vec<u8>) {
    let entry = |result: Ranked, user: Uuid| {
        let score = query.order.stored_score(result.score).to_string().into_bytes();
        (score, [query.order.key(result), user.as_bytes().to_vec()].concat())
    };
    match query.place {
        Place::At(position) => ("at", position.to_string().into_bytes(), Vec::new()),
        Place::Around(user) => ("around", user.as_bytes().to_vec(), Vec::new()),
        Place::After(result, user) => {
            let (score, member) = entry(result, user);
            ("after", score, member)
        }
        Place::Before(result, user) => {
            let (score, member) = entry(result, user);
            ("before", score, member)
        }
    }
}

fn read_entry(reply: &mut Reply, query: &EntriesQuery<'_>) -> Result<PlacedEntry, Fault> {
    let (member, score): (Vec<u8>, i64) = (reply.next()?, reply.next()?);
    let (position, rank): (u64, u64) = (reply.next()?, reply.next()?);
    let text: Vec<u8> = reply.next()?;
    let invalid = || Fault::new("read_entries", "an entry has another form");
    let (user, result) = query.order.read(&member, score).ok_or_else(invalid)?;
    let mut name = text.get(query.order.key_bytes()..).ok_or_else(invalid)?;
    let mut attempts = None;
    if query.counts_attempts {
        let (count, rest) = name.split_first_chunk().ok_or_else(invalid)?;
        (attempts, name) = (Some(u32::from_be_bytes(*count)), rest);
    }
    let username = String::from_utf8_lossy(name).into_owned();
    Ok(PlacedEntry { user, username, result, position, rank, attempts })
}
