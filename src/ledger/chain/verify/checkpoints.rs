//! Verification of checkpoints during the walk: what a node signed must match the entries.

use data_encoding::HEXLOWER;
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::{Mismatch, Report};
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::chain::SHARD;
use crate::ledger::chain::checkpoint::{COLUMNS, Checkpoint, MAX_ENTRIES};
use crate::receipt::{ReceiptVerifier, VerifyError};

/// Most entries between two checkpoints. The last batch before one is due may exceed the interval by a whole batch.
const MAX_GAP: i64 = MAX_ENTRIES + 10_000;
const DOING: &str = "read_checkpoints";

/// The checkpoints seen so far.
pub struct CheckpointVerifier<'a> {
    keys: &'a ReceiptVerifier,
    /// The last one.
    last: i64,
    /// The last one signed by a known key.
    signed: i64,
    /// The last one signed by an unknown key.
    unknown: i64,
}

impl<'a> CheckpointVerifier<'a> {
    /// Returns also the checkpoint where the walk starts, if months were detached.
    pub async fn new(
        database: &PgPool,
        keys: &'a ReceiptVerifier,
        report: &mut Report<'_>,
    ) -> Result<(Self, Option<Checkpoint>), Fault> {
        let mut verifier = Self { keys, last: 0, signed: 0, unknown: 0 };
        let newest = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM ledger_checkpoints WHERE shard = $1 AND is_chain_start ORDER BY seq DESC LIMIT 1"
        )))
        .bind(SHARD)
        .fetch_optional(database)
        .await
        .and_then(|row| row.as_ref().map(Checkpoint::read).transpose())
        .map_err(|error| sql_fault(DOING, error))?;
        let Some((checkpoint, signature)) = newest else { return Ok((verifier, None)) };
        verifier.last = checkpoint.seq;
        // Only a known key may decide where the walk starts.
        if let Err(error) = checkpoint.check(&signature, keys) {
            let detail =
                format!("marks all entries before it as detached, but none of our keys signed it: {error}");
            report(Mismatch::new(checkpoint_name(checkpoint.seq), detail));
            return Ok((verifier, None));
        }
        verifier.signed = checkpoint.seq;
        Ok((verifier, Some(checkpoint)))
    }

    /// Compares the checkpoints after `after` and up to `to` with the entries between them.
    pub async fn compare(
        &mut self,
        database: &PgPool,
        after: i64,
        to: i64,
        entries: &[PgRow],
        report: &mut Report<'_>,
    ) -> Result<(), Fault> {
        let statement = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM ledger_checkpoints WHERE shard = $1 AND seq > $2 AND seq <= $3 ORDER BY seq"
        ));
        let mut rows = sqlx::query(statement).bind(SHARD).bind(after).bind(to).fetch(database);
        while let Some(row) = rows.try_next().await.map_err(|error| sql_fault(DOING, error))? {
            let (checkpoint, signature) = Checkpoint::read(&row).map_err(|error| sql_fault(DOING, error))?;
            let seq = checkpoint.seq;
            self.check_signature(&checkpoint, &signature, report);
            self.check_gap(seq, report);
            self.last = seq;
            // A missing entry was reported already.
            let mut hashes =
                entries.iter().filter(|row| row.get::<i64, _>("seq") == seq).map(hash_of).peekable();
            if hashes.peek().is_some() && !hashes.any(|hash| hash == checkpoint.hash) {
                let detail =
                    "differs from the entry's hash: the checkpoint was changed, or entries were hashed again";
                report(Mismatch::new(checkpoint_name(seq), detail));
            }
        }
        Ok(())
    }

    /// Reports missing checkpoints, and checkpoints beyond the head.
    pub async fn finish(self, database: &PgPool, head: i64, report: &mut Report<'_>) -> Result<(), Fault> {
        if self.unknown > self.signed {
            let detail = "was signed by an unknown key, and so were all later ones: keep a secret in previous_jwt_secrets until the \
                          next one has signed";
            report(Mismatch::new(checkpoint_name(self.unknown), detail));
        }
        let beyond: Vec<i64> = sqlx::query_scalar(
            "SELECT it.seq FROM ledger_checkpoints it JOIN ledger_heads head USING (shard)
             WHERE shard = $1 AND it.seq > head.seq ORDER BY it.seq LIMIT 100",
        )
        .bind(SHARD)
        .fetch_all(database)
        .await
        .map_err(|error| sql_fault(DOING, error))?;
        if self.last == 0 && head > 0 && beyond.is_empty() {
            report(Mismatch::new("the checkpoints", "all are missing"));
        } else {
            self.check_gap(head, report);
        }
        for seq in beyond {
            report(Mismatch::new(checkpoint_name(seq), "is beyond the head: entries up to it were removed"));
        }
        Ok(())
    }

    /// A signature by a key that is no longer known is accepted if a known key signed a later checkpoint.
    fn check_signature(&mut self, checkpoint: &Checkpoint, signature: &str, report: &mut Report<'_>) {
        match checkpoint.check(signature, self.keys) {
            Ok(()) => self.signed = checkpoint.seq,
            Err(VerifyError::UnknownKey(_)) => self.unknown = checkpoint.seq,
            Err(error) => {
                let detail = format!("was not signed by any of our keys: {error}");
                report(Mismatch::new(checkpoint_name(checkpoint.seq), detail));
            }
        }
    }

    fn check_gap(&self, to: i64, report: &mut Report<'_>) {
        if to - self.last > MAX_GAP {
            let subject = format!("the checkpoints between entries {} and {to}", self.last);
            report(Mismatch::new(subject, format!("missing: one is due every {MAX_ENTRIES} entries")));
        }
    }
}

fn hash_of(entry: &PgRow) -> String {
    HEXLOWER.encode(&entry.get::<Option<Vec<u8>>, _>("hash").unwrap_or_default())
}

fn checkpoint_name(seq: i64) -> String {
    format!("the checkpoint at entry {seq}")
}
