//! One entry of the outbox, read back from the words that `lua/lib/outbox.lua` writes.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use super::connection::stream::Item;
use super::keys;

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
    Approved,
}

impl EntryKind {
    const ALL: [Self; 9] = [
        Self::Issued,
        Self::Awarded,
        Self::Refused,
        Self::Started,
        Self::Ended,
        Self::Traded,
        Self::Adjusted,
        Self::Voided,
        Self::Approved,
    ];

    /// As an entry names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Awarded => "awarded",
            Self::Refused => "refused",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Traded => "traded",
            Self::Adjusted => "adjusted",
            Self::Voided => "voided",
            Self::Approved => "approved",
        }
    }
}

/// An entry that has not the shape of one.
#[derive(Clone, Debug)]
pub struct Unread {
    /// The number of the shard whose outbox has it.
    pub shard: usize,
    /// The server it was read from.
    pub address: Arc<str>,
    /// Its place in the stream.
    pub stream_id: String,
    /// As it lies there.
    pub raw: Vec<u8>,
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
    /// The board's moment, of what spends a token without an award.
    pub spent: Option<i64>,
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
    /// The board's moment that this brought, if it brought one.
    pub fn hlc_us(&self) -> Option<i64> {
        self.award.map(|(.., hlc_us)| hlc_us).or(self.spent)
    }

    /// Reads an entry as it lay in an outbox; `None` if it is not one of ours.
    pub fn parse(shard: usize, stream_id: &str, raw: &[u8]) -> Option<Self> {
        Self::read_text(shard, &"".into(), stream_id, std::str::from_utf8(raw).ok()?)
    }

    /// Reads an entry; `None` if it is not one of ours.
    pub(super) fn read(shard: usize, address: &Arc<str>, item: &Item) -> Option<Self> {
        let text = item.text("entry").map(Cow::Borrowed).or_else(|| in_words(item))?;
        Self::read_text(shard, address, &item.id, &text)
    }

    fn read_text(shard: usize, address: &Arc<str>, stream_id: &str, text: &str) -> Option<Self> {
        let mut words = text.splitn(WORDS.len(), ' ');
        let mut next = || words.next();
        let kind = next()?;
        let kind = EntryKind::ALL.into_iter().find(|it| it.as_str() == kind)?;
        let (id, user, action, points) =
            (next()?.parse().ok()?, next()?.parse().ok()?, next()?.to_owned(), number(next()?));
        let (before, after, hlc_us) = (number(next()?), number(next()?), hlc_us(next()?));
        let award = match kind {
            EntryKind::Awarded | EntryKind::Adjusted | EntryKind::Voided => Some((before?, after?, hlc_us?)),
            _ => None,
        };
        let spends = matches!(kind, EntryKind::Refused | EntryKind::Traded | EntryKind::Issued);
        // What was held up to here is held no more.
        let clears = match kind {
            EntryKind::Voided | EntryKind::Approved => Some(hlc_us?),
            _ => None,
        };
        Some(Self {
            shard,
            address: address.clone(),
            stream_id: stream_id.to_owned(),
            kind,
            id,
            user,
            action,
            points: points.unwrap_or(0),
            award,
            spent: hlc_us.filter(|_| spends),
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

/// The words of an entry, in their order; the last may have spaces.
const WORDS: [&str; 19] = [
    "kind", "id", "user", "action", "points", "before", "after", "hlc_us", "at", "issued", "expires",
    "token", "session", "next", "actions", "held", "once", "trace", "proof",
];

/// An entry as older nodes write it, a field for each word: they may serve beside this one, and have left some when it started.
pub(super) fn in_words(item: &Item) -> Option<Cow<'static, str>> {
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

/// A moment that Redis can count on from: Lua's numbers are exact to 2^53 µs, which is the year 2255.
fn hlc_us(word: &str) -> Option<i64> {
    number(word).filter(|it| (0..1 << 53).contains(it))
}

/// Reads `until,key,key…`, as `lua/lib/proof.lua` writes it, the keys with their shard's tag.
fn read_once(text: &str) -> Option<(i64, Vec<String>)> {
    let mut words = text.split(',');
    let until_ms = words.next()?.parse().ok()?;
    Some((until_ms, words.filter_map(|it| Some(it.split_once(keys::ONCE)?.1.to_owned())).collect()))
}
