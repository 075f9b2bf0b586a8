//! The chain of the ledger's entries: each carries a hash of the one before it and of itself. Who changes, removes or inserts a row
//! has to change all that come after it, and the checkpoints that only a node can sign.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// SHA-256.
pub type Hash = [u8; 32];

/// What the first entry follows.
pub const BEGINNING: Hash = [0; 32];

/// The one chain there is as long as there is one shard.
pub const SHARD: i16 = 0;

/// In hex. A million entries are seeded with it, so nothing is formatted.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from_digit(u32::from(it), 16).unwrap_or_default();
    bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
}

/// What is hashed of an entry. All of its row but `held`, which an operator's decision changes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// The award's event id.
    pub event_id: Uuid,
    /// Whose total it moves.
    pub user: Uuid,
    /// The action's type.
    pub action: &'a str,
    /// By how much.
    pub points: i64,
    /// SHA-256 of the token, in hex.
    pub token_hash: &'a str,
    /// The total before.
    pub before: i64,
    /// The total after.
    pub after: i64,
    /// The board's moment.
    pub hlc_us: i64,
    /// When the entry was made, in µs.
    pub created_us: i64,
    /// JSON in any spelling; empty if there is none.
    pub note: &'a str,
}

impl Link<'_> {
    /// The entry's hash at this place. SHA-256 over the previous entry's hash, then the fields in the order below: numbers as 8
    /// bytes and UUIDs as 16, texts with their length in bytes before them, all big-endian. No two entries have the same bytes.
    pub fn hash(&self, seq: i64, previous: &Hash) -> Hash {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(previous);
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(self.event_id.as_bytes());
        bytes.extend_from_slice(self.user.as_bytes());
        put_text(&mut bytes, self.action);
        bytes.extend_from_slice(&self.points.to_be_bytes());
        put_text(&mut bytes, self.token_hash);
        for number in [self.before, self.after, self.hlc_us, self.created_us] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        put_text(&mut bytes, &canonical(self.note));
        let mut hash = BEGINNING;
        hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        hash
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// JSON without blanks and with sorted names: Postgres does not keep how it was spelt.
fn canonical(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string()
        }
        Err(_) => json.to_owned(),
    }
}

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: Hash,
    /// The greatest moment of the board in the ledger.
    pub hlc_us: i64,
}

impl Head {
    /// Reads the head and locks it until the transaction ends: whoever appends comes here first, before any other row or table,
    /// so that nobody waits crosswise.
    pub async fn take(transaction: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::query("SELECT seq, hash, hlc_us FROM ledger_heads WHERE shard = $1 FOR UPDATE")
            .bind(SHARD)
            .fetch_one(transaction)
            .await?;
        Ok(Self { seq: row.try_get("seq")?, hash: row.try_get("hash")?, hlc_us: row.try_get("hlc_us")? })
    }

    /// Puts an entry after the others. Returns its place and its hash.
    pub fn append(&mut self, link: &Link<'_>) -> (i64, Hash) {
        self.seq += 1;
        self.hash = link.hash(self.seq, &self.hash);
        self.hlc_us = self.hlc_us.max(link.hlc_us);
        (self.seq, self.hash)
    }

    /// Writes the head after what was appended.
    pub async fn save(&self, transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE ledger_heads SET seq = $2, hash = $3, hlc_us = $4 WHERE shard = $1")
            .bind(SHARD)
            .bind(self.seq)
            .bind(self.hash)
            .bind(self.hlc_us)
            .execute(transaction)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link<'static> {
        Link {
            event_id: Uuid::from_u128(1),
            user: Uuid::from_u128(2),
            action: "watch_ad",
            points: 10,
            token_hash: "ab",
            before: 0,
            after: 10,
            hlc_us: 7,
            created_us: 8,
            note: "",
        }
    }

    #[test]
    fn the_bytes_never_change() {
        assert_eq!(
            hex(&link().hash(1, &BEGINNING)),
            "b5c29203bd0d7466e988b4aed8fe056f9e25b97ddfef804583387a128a08b810"
        );
    }

    #[test]
    fn every_field_counts_and_none_runs_into_the_next() {
        let (one, changes) = (link().hash(1, &BEGINNING), |change: fn(&mut Link<'static>)| {
            let mut link = link();
            change(&mut link);
            link.hash(1, &BEGINNING)
        });
        let others = [
            link().hash(2, &BEGINNING),
            link().hash(1, &one),
            changes(|it| it.event_id = Uuid::from_u128(3)),
            changes(|it| it.user = Uuid::from_u128(3)),
            changes(|it| it.action = "watch_a"),
            changes(|it| it.points = 11),
            changes(|it| it.token_hash = "abc"),
            changes(|it| it.before = 1),
            changes(|it| it.after = 11),
            changes(|it| it.hlc_us = 8),
            changes(|it| it.created_us = 9),
            changes(|it| it.note = "{}"),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(*other, one, "change {place} is not seen");
        }
    }

    #[test]
    fn a_note_is_the_same_however_it_is_spelt() {
        let spelt = |note| Link { note, ..link() }.hash(1, &BEGINNING);
        assert_eq!(spelt(r#"{"why":"x","by":"ö"}"#), spelt("{ \"by\": \"\\u00f6\", \"why\": \"x\"}"));
        assert_ne!(spelt(r#"{"why":"x"}"#), spelt(r#"{"why":"y"}"#));
    }
}
