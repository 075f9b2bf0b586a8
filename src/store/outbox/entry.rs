//! One entry of the outbox. `lua/lib/outbox.lua` writes it, with the words that are declared here.

use std::sync::Arc;

use uuid::Uuid;

use crate::store::connection::stream::Item;
use crate::store::keys;

/// First word of an entry: the version of the list of words below. A change of the list changes it.
const VERSION: &str = "1";

/// Declares the words of an entry after the version, in order, and the Lua expression for a word that the writer does not name.
macro_rules! words {
    ($($word:ident: $default:literal),* $(,)?) => {
        struct Words<'a> {
            $($word: &'a str,)*
        }

        impl<'a> Words<'a> {
            const ALL: &'static [(&'static str, &'static str)] = &[$((stringify!($word), $default)),*];

            /// Splits an entry of this version. The last word may have spaces.
            fn split(text: &'a str) -> Option<Self> {
                let mut words = text.splitn(Self::ALL.len() + 1, ' ');
                if words.next() != Some(VERSION) {
                    return None;
                }
                Some(Self { $($word: words.next()?),* })
            }
        }
    };
}

words! {
    kind: "''",
    id: "''",
    user: "''",
    action: "''",
    points: "''",
    before: "''",
    after: "''",
    hlc_us: "''",
    at: "now_text",
    issued: "now_text",
    expires: "now_text",
    token: "''",
    session: "''",
    next: "''",
    actions: "''",
    held: "'0'",
    once: "''",
    trace: "''",
    result: "''",
    proof: "''",
}

/// The Lua expression for the text of an entry, for `lua/lib/outbox.lua`.
pub(in crate::store) fn words_in_lua() -> String {
    let words = Words::ALL.iter().map(|(word, default)| format!(" .. ' ' .. (entry.{word} or {default})"));
    format!("'{VERSION}'{}", words.collect::<String>())
}

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A token was issued.
    Issued,
    /// A token was redeemed.
    Awarded,
    /// A proof failed, which spent its token.
    Refused,
    /// A game session started, with its first token.
    Started,
    /// A game session ended before its expiry.
    Ended,
    /// An anti-spam token and its proof were exchanged for a proven token.
    Traded,
    /// An admin changed a total.
    Adjusted,
    /// An admin voided held points.
    Voided,
    /// An admin approved held points.
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

    /// Its name in an entry.
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

/// An item of the outbox that is not an entry of this version.
#[derive(Clone, Debug)]
pub struct UnreadableEntry {
    /// Number of the shard whose outbox has it.
    pub shard: usize,
    /// Address of the server that it was read from.
    pub address: Arc<str>,
    /// Its id in the stream.
    pub stream_id: String,
    /// Its text.
    pub raw: Vec<u8>,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number of the shard whose outbox has it.
    pub shard: usize,
    /// Address of the server that it was read from. Another server may have another entry under the same id.
    pub address: Arc<str>,
    /// Its id in the stream.
    pub stream_id: String,
    /// What it records.
    pub kind: EntryKind,
    /// Id of the attempt, which is the event id of an award.
    pub id: Uuid,
    /// UUID of the user.
    pub user: Uuid,
    /// Action type.
    pub action: String,
    /// Points of the action.
    pub points: i64,
    /// Total before and after, and the HLC, if it changes a total.
    pub award: Option<(i64, i64, i64)>,
    /// The HLC, if it spends a token without an award.
    pub spent: Option<i64>,
    /// Whether the points are held, because the user is quarantined.
    pub held: bool,
    /// The HLC up to which no points of the user are held any more.
    pub clears: Option<i64>,
    /// When the used attestations expire (ms), and the digest of each.
    pub once: Option<(i64, Vec<String>)>,
    /// Time in ms, by Redis' clock.
    pub at_ms: i64,
    /// When the token was issued (ms).
    pub issued_ms: i64,
    /// When the token expires (ms).
    pub expires_ms: i64,
    /// SHA-256 of the redeemed token in hex, or empty.
    pub token_hash: String,
    /// What an award is worth on boards as JSON, or empty.
    pub result: String,
    /// Proof as JSON, or empty.
    pub proof: String,
    /// Id of the game session, or empty.
    pub session: String,
    /// SHA-256 of the game token that this entry issues, or empty.
    pub next_hash: String,
    /// Awards in the session so far.
    pub actions: i64,
    /// `traceparent` to continue, if the request was traced.
    pub trace: Option<String>,
}

impl Entry {
    /// The HLC that it brought, if it brought one.
    pub fn hlc_us(&self) -> Option<i64> {
        self.award.map(|(.., hlc_us)| hlc_us).or(self.spent)
    }

    /// Reads an entry's text; `None` if it is not an entry of this version.
    pub fn parse(shard: usize, stream_id: &str, raw: &[u8]) -> Option<Self> {
        Self::read_text(shard, &"".into(), stream_id, std::str::from_utf8(raw).ok()?)
    }

    /// Reads an item of the stream; `None` if it is not an entry of this version.
    pub(in crate::store) fn read(shard: usize, address: &Arc<str>, item: &Item) -> Option<Self> {
        Self::read_text(shard, address, &item.id, item.text("entry")?)
    }

    fn read_text(shard: usize, address: &Arc<str>, stream_id: &str, text: &str) -> Option<Self> {
        let words = Words::split(text)?;
        let kind = EntryKind::ALL.into_iter().find(|kind| kind.as_str() == words.kind)?;
        let hlc_us = hlc_us(words.hlc_us);
        let award = match kind {
            EntryKind::Awarded | EntryKind::Adjusted | EntryKind::Voided => {
                Some((number(words.before)?, number(words.after)?, hlc_us?))
            }
            _ => None,
        };
        let spends = matches!(kind, EntryKind::Refused | EntryKind::Traded | EntryKind::Issued);
        let clears = match kind {
            EntryKind::Voided | EntryKind::Approved => Some(hlc_us?),
            _ => None,
        };
        Some(Self {
            shard,
            address: address.clone(),
            stream_id: stream_id.to_owned(),
            kind,
            id: words.id.parse().ok()?,
            user: words.user.parse().ok()?,
            action: words.action.to_owned(),
            points: number(words.points).unwrap_or(0),
            award,
            spent: hlc_us.filter(|_| spends),
            clears,
            at_ms: number(words.at)?,
            issued_ms: number(words.issued)?,
            expires_ms: number(words.expires)?,
            token_hash: words.token.to_owned(),
            session: words.session.to_owned(),
            next_hash: words.next.to_owned(),
            actions: number(words.actions).unwrap_or(0),
            held: words.held == "1",
            once: read_once(words.once),
            trace: Some(words.trace).filter(|trace| !trace.is_empty()).map(str::to_owned),
            result: words.result.to_owned(),
            proof: words.proof.to_owned(),
        })
    }
}

fn number(word: &str) -> Option<i64> {
    word.parse().ok()
}

/// An HLC that Redis can continue: Lua's numbers are exact to 2^53 µs, which is the year 2255.
fn hlc_us(word: &str) -> Option<i64> {
    number(word).filter(|hlc_us| (0..1 << 53).contains(hlc_us))
}

/// Reads `until_ms,key,key…`, as `lua/lib/proof.lua` writes it, with the shard's tag on the keys.
fn read_once(text: &str) -> Option<(i64, Vec<String>)> {
    let mut words = text.split(',');
    let until_ms = words.next()?.parse().ok()?;
    Some((until_ms, words.filter_map(|key| Some(key.split_once(keys::ONCE)?.1.to_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_of_this_version_are_read() {
        let ids = "00000000-0000-0000-0000-000000000001 00000000-0000-0000-0000-000000000002";
        let text = format!(
            "awarded {ids} watch_ad 10 5 15 99 1000 900 2000 hash session next 3 1   {{\"value\":7}} {{\"a\": 1}}"
        );
        let entry = Entry::parse(0, "1-0", format!("1 {text}").as_bytes()).unwrap();
        assert_eq!((entry.award, entry.held, entry.actions), (Some((5, 15, 99)), true, 3));
        assert_eq!((entry.action.as_str(), entry.proof.as_str()), ("watch_ad", "{\"a\": 1}"));
        assert_eq!(entry.result, "{\"value\":7}");
        for other in [text.clone(), format!("2 {text}")] {
            assert!(Entry::parse(0, "1-0", other.as_bytes()).is_none(), "{other}");
        }
        assert!(words_in_lua().starts_with("'1' .. ' ' .. (entry.kind or '') .. ' ' .. (entry.id or '')"));
    }
}
