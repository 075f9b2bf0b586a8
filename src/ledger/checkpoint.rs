//! Checkpoints: hashes of the chain that a node has signed. Who can write to Postgres, but has no key, can change an entry and hash
//! all that follow anew; but not so that it ends in what was signed.

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::chain::{Hash, Head, SHARD, hex};
use crate::receipt::{ReceiptKeys, ReceiptVerifier, VerifyError};

/// After so many entries there is another one,
pub const EVERY: i64 = 10_000;
/// or after so many seconds, if anything was written since.
const EVERY_S: f64 = 3600.0;

/// What is signed: a row of `ledger_checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which chain.
    pub shard: i16,
    /// Up to which entry.
    pub seq: i64,
    /// Its hash, in hex.
    pub hash: String,
    /// Whether everything up to it was detached, so that the chain is walked from here on.
    pub begins: bool,
    /// When it was signed, in ms by Postgres' clock.
    pub at: i64,
}

impl Checkpoint {
    /// Reads a row of `COLUMNS`; with its signature.
    pub fn read(row: &PgRow) -> Result<(Self, String), sqlx::Error> {
        let checkpoint = Self {
            shard: row.try_get("shard")?,
            seq: row.try_get("seq")?,
            hash: row.try_get("hash")?,
            begins: row.try_get("begins")?,
            at: row.try_get("at")?,
        };
        Ok((checkpoint, row.try_get("signature")?))
    }

    /// The hash, unless somebody has put something else in its place.
    pub fn hash(&self) -> Option<Hash> {
        let mut hash = [0; 32];
        let pairs = self.hash.as_bytes().chunks(2);
        if self.hash.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(hash)
    }

    /// Whether a node has signed this.
    ///
    /// # Errors
    /// None of these keys did.
    pub fn check(&self, signature: &str, keys: &ReceiptVerifier) -> Result<(), VerifyError> {
        let signed: Self = keys.checkpoint(signature)?;
        if signed == *self { Ok(()) } else { Err(VerifyError::Forged) }
    }

    /// For a log outside, which nobody changes who can change Postgres.
    pub fn log(&self) {
        let Self { shard, seq, hash, .. } = self;
        tracing::info!(shard, seq, hash, "a checkpoint of the ledger");
    }
}

/// What `Checkpoint::read` needs.
pub const COLUMNS: &str = "shard, seq, encode(hash, 'hex') AS hash, begins, (extract(epoch FROM created_at) * 1000)::bigint AS at, signature";

/// Signs the head if it is time for it. To be logged once it is committed.
pub async fn write_if_due(
    transaction: &mut PgConnection,
    keys: &ReceiptKeys,
    head: &Head,
) -> Result<Option<Checkpoint>, sqlx::Error> {
    if head.seq == 0 {
        return Ok(None);
    }
    let is_recent: Option<bool> = sqlx::query_scalar(
        "SELECT seq = $2 OR (seq > $2 - $3 AND created_at > now() - make_interval(secs => $4))
         FROM ledger_checkpoints WHERE shard = $1 ORDER BY seq DESC LIMIT 1",
    )
    .bind(SHARD)
    .bind(head.seq)
    .bind(EVERY)
    .bind(EVERY_S)
    .fetch_optional(&mut *transaction)
    .await?;
    match is_recent {
        Some(true) => Ok(None),
        Some(false) | None => write(transaction, keys, head.seq, &head.hash, false).await.map(Some),
    }
}

/// Signs a place of the chain. One that was signed before is signed anew.
pub async fn write(
    transaction: &mut PgConnection,
    keys: &ReceiptKeys,
    seq: i64,
    hash: &Hash,
    begins: bool,
) -> Result<Checkpoint, sqlx::Error> {
    let at: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        .fetch_one(&mut *transaction)
        .await?;
    let checkpoint = Checkpoint { shard: SHARD, seq, hash: hex(hash), begins, at };
    let signature =
        keys.sign_checkpoint(&checkpoint).map_err(|fault| sqlx::Error::Encode(fault.to_string().into()))?;
    sqlx::query(
        "INSERT INTO ledger_checkpoints (shard, seq, hash, created_at, signature, begins)
         VALUES ($1, $2, $3, to_timestamp($4::bigint / 1000.0), $5, $6)
         ON CONFLICT (shard, seq) DO UPDATE
         SET hash = excluded.hash, created_at = excluded.created_at, signature = excluded.signature, begins = excluded.begins",
    )
    .bind(SHARD)
    .bind(seq)
    .bind(hash)
    .bind(at)
    .bind(&signature)
    .bind(begins)
    .execute(transaction)
    .await?;
    Ok(checkpoint)
}
