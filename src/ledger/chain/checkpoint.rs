//! Checkpoints: hashes of the chain, signed by a node. Who can write to Postgres but has no key can change an entry and recompute all later
//! hashes, but cannot make them match a signed checkpoint.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::ledger::chain::{Hash, Head, SHARD};
use crate::receipt::{ReceiptKeys, ReceiptVerifier, VerifyError};

/// A checkpoint is due after this many entries,
pub const MAX_ENTRIES: i64 = 10_000;
/// or after this many seconds, if there are new entries.
const MAX_AGE_S: f64 = 3600.0;

/// The signed part of a row of `ledger_checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of the chain.
    pub shard: i16,
    /// Position of the last entry it covers.
    pub seq: i64,
    /// Hash of that entry, in hex.
    pub hash: String,
    /// True if everything up to it was detached, so verification starts here.
    pub is_chain_start: bool,
    /// Time of signing in ms, by Postgres' clock.
    pub at: i64,
}

impl Checkpoint {
    /// Reads a row of `COLUMNS`, with the signature.
    pub fn read(row: &PgRow) -> Result<(Self, String), sqlx::Error> {
        let checkpoint = Self {
            shard: row.try_get("shard")?,
            seq: row.try_get("seq")?,
            hash: row.try_get("hash")?,
            is_chain_start: row.try_get("is_chain_start")?,
            at: row.try_get("at")?,
        };
        Ok((checkpoint, row.try_get("signature")?))
    }

    /// The hash, unless it was replaced with something else.
    pub fn hash(&self) -> Option<Hash> {
        HEXLOWER.decode(self.hash.as_bytes()).ok()?.try_into().ok()
    }

    /// Checks that a node signed this checkpoint.
    ///
    /// # Errors
    /// None of these keys signed it.
    pub fn check(&self, signature: &str, keys: &ReceiptVerifier) -> Result<(), VerifyError> {
        let signed: Self = keys.checkpoint(signature)?;
        if signed == *self { Ok(()) } else { Err(VerifyError::Forged) }
    }

    /// Logs the checkpoint. A log that is stored outside cannot be changed by who can change Postgres.
    pub fn log(&self) {
        let Self { shard, seq, hash, .. } = self;
        tracing::info!(shard, seq, hash, "ledger checkpoint written");
    }
}

/// The columns that `Checkpoint::read` needs.
pub const COLUMNS: &str = "shard, seq, encode(hash, 'hex') AS hash, is_chain_start, (extract(epoch FROM created_at) * 1000)::bigint AS at, signature";

/// Signs the head if a checkpoint is due. The caller logs it after the commit.
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
    .bind(MAX_ENTRIES)
    .bind(MAX_AGE_S)
    .fetch_optional(&mut *transaction)
    .await?;
    match is_recent {
        Some(true) => Ok(None),
        Some(false) | None => write(transaction, keys, head.seq, &head.hash, false).await.map(Some),
    }
}

/// Signs a position of the chain. Replaces an existing checkpoint there.
pub async fn write(
    transaction: &mut PgConnection,
    keys: &ReceiptKeys,
    seq: i64,
    hash: &Hash,
    is_chain_start: bool,
) -> Result<Checkpoint, sqlx::Error> {
    let at: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        .fetch_one(&mut *transaction)
        .await?;
    let checkpoint = Checkpoint { shard: SHARD, seq, hash: HEXLOWER.encode(hash), is_chain_start, at };
    let signature =
        keys.sign_checkpoint(&checkpoint).map_err(|fault| sqlx::Error::Encode(fault.to_string().into()))?;
    sqlx::query(
        "INSERT INTO ledger_checkpoints (shard, seq, hash, created_at, signature, is_chain_start)
         VALUES ($1, $2, $3, to_timestamp($4::bigint / 1000.0), $5, $6)
         ON CONFLICT (shard, seq) DO UPDATE
         SET hash = excluded.hash, created_at = excluded.created_at, signature = excluded.signature, is_chain_start = excluded.is_chain_start",
    )
    .bind(SHARD)
    .bind(seq)
    .bind(hash)
    .bind(at)
    .bind(&signature)
    .bind(is_chain_start)
    .execute(transaction)
    .await?;
    Ok(checkpoint)
}
