//! The hash chain of the ledger's entries. Each entry carries a hash of the previous entry and of itself. Who changes, removes or inserts a
//! row has to recompute everything after it, and the checkpoints, which only a node can sign.

pub mod checkpoint;
pub mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first entry.
pub const GENESIS_HASH: Hash = [0; 32];

/// The only chain. Its number is in every row, in case there are several one day.
pub const SHARD: i16 = 0;

/// The hashed part of an entry: its whole row but `held` and `voided_by`, which an admin's decision changes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// The award's event id.
    pub event_id: Uuid,
    /// The user whose total it changes.
    pub user: Uuid,
    /// The action's type.
    pub action: &'a str,
    /// Change of the total.
    pub points: i64,
    /// SHA-256 of the token, in hex.
    pub token_hash: &'a str,
    /// The total before.
    pub before: i64,
    /// The total after.
    pub after: i64,
    /// Hybrid logical clock of the award.
    pub hlc_us: i64,
    /// Creation time in µs since the Unix epoch.
    pub created_us: i64,
    /// JSON in any formatting, or empty.
    pub note: &'a str,
}

/// The columns that `Link::read` needs.
pub const LINK_COLUMNS: &str = "
    event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after, hlc_us,
    CASE WHEN isfinite(created_at) THEN (extract(epoch FROM created_at) * 1000000)::bigint END AS created_us,
    coalesce(note::text, '') AS note";

impl<'a> Link<'a> {
    /// Reads a row of `score_history`.
    pub fn read(row: &'a PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            event_id: row.try_get("event_id")?,
            user: row.try_get("user_id")?,
            action: row.try_get("action_type")?,
            points: row.try_get("points_earned")?,
            token_hash: row.try_get("action_token_hash")?,
            before: row.try_get("score_before")?,
            after: row.try_get("score_after")?,
            hlc_us: row.try_get("hlc_us")?,
            created_us: row.try_get::<Option<i64>, _>("created_us")?.unwrap_or(i64::MIN),
            note: row.try_get("note")?,
        })
    }

    /// The entry's hash at position `seq`: SHA-256 over the previous hash and the fields in the order below. Numbers take 8 bytes, UUIDs
    /// 16, texts follow their length in bytes, everything big-endian. So no two entries encode to the same bytes.
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
        let mut hash = GENESIS_HASH;
        hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        hash
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// JSON without whitespace and with sorted keys: Postgres does not preserve the original formatting.
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
    /// Newest clock value in the ledger.
    pub hlc_us: i64,
}

impl Head {
    /// Reads the head and locks it until the transaction ends. Every writer locks it before any other row or table, so writers cannot
    /// deadlock.
    pub async fn lock(transaction: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::query("SELECT seq, hash, hlc_us FROM ledger_heads WHERE shard = $1 FOR UPDATE")
            .bind(SHARD)
            .fetch_one(transaction)
            .await?;
        Ok(Self { seq: row.try_get("seq")?, hash: row.try_get("hash")?, hlc_us: row.try_get("hlc_us")? })
    }

    /// Appends an entry. Returns its position and its hash.
    pub fn append(&mut self, link: &Link<'_>) -> (i64, Hash) {
        self.seq += 1;
        self.hash = link.hash(self.seq, &self.hash);
        self.hlc_us = self.hlc_us.max(link.hlc_us);
        (self.seq, self.hash)
    }

    /// Writes the head back.
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
    fn hash_is_stable() {
        assert_eq!(
            data_encoding::HEXLOWER.encode(&link().hash(1, &GENESIS_HASH)),
            "b5c29203bd0d7466e988b4aed8fe056f9e25b97ddfef804583387a128a08b810"
        );
    }

    #[test]
    fn hash_covers_every_field() {
        let (original, changes) = (link().hash(1, &GENESIS_HASH), |change: fn(&mut Link<'static>)| {
            let mut link = link();
            change(&mut link);
            link.hash(1, &GENESIS_HASH)
        });
        let changed = [
            link().hash(2, &GENESIS_HASH),
            link().hash(1, &original),
            changes(|link| link.event_id = Uuid::from_u128(3)),
            changes(|link| link.user = Uuid::from_u128(3)),
            changes(|link| link.action = "watch_a"),
            changes(|link| link.points = 11),
            changes(|link| link.token_hash = "abc"),
            changes(|link| link.before = 1),
            changes(|link| link.after = 11),
            changes(|link| link.hlc_us = 8),
            changes(|link| link.created_us = 9),
            changes(|link| link.note = "{}"),
        ];
        for (index, other) in changed.iter().enumerate() {
            assert_ne!(*other, original, "change {index} does not change the hash");
        }
    }

    #[test]
    fn hash_ignores_the_formatting_of_notes() {
        let hash_of = |note| Link { note, ..link() }.hash(1, &GENESIS_HASH);
        assert_eq!(hash_of(r#"{"why":"x","by":"ö"}"#), hash_of("{ \"by\": \"\\u00f6\", \"why\": \"x\"}"));
        assert_ne!(hash_of(r#"{"why":"x"}"#), hash_of(r#"{"why":"y"}"#));
    }
}
