//! The checkpoints along the walk: what a node has signed must be what is there.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::{Difference, Found};
use crate::error::Fault;
use crate::ledger::chain::{SHARD, hex};
use crate::ledger::checkpoint::{COLUMNS, Checkpoint, EVERY};
use crate::ledger::sql_fault;
use crate::receipt::{ReceiptVerifier, VerifyError};

/// Entries between two checkpoints at most: the last batch before one is due may go beyond by as much as a batch has.
const WIDEST: i64 = EVERY + 10_000;
const READ: &str = "read the ledger's checkpoints";

/// What the walk knows of them so far.
pub struct Checkpoints<'a> {
    keys: &'a ReceiptVerifier,
    /// The last one.
    last: i64,
    /// The last one that was signed by a key that is known.
    signed: i64,
    /// The last one that was signed by another key.
    unknown: i64,
}

impl<'a> Checkpoints<'a> {
    /// Where the walk begins: the checkpoint up to which all was detached, if there is one.
    pub async fn begin(
        database: &PgPool,
        keys: &'a ReceiptVerifier,
        found: &mut Found<'_>,
    ) -> Result<(Self, Option<Checkpoint>), Fault> {
        let mut it = Self { keys, last: 0, signed: 0, unknown: 0 };
        let newest = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM ledger_checkpoints WHERE shard = $1 AND begins ORDER BY seq DESC LIMIT 1"
        )))
        .bind(SHARD)
        .fetch_optional(database)
        .await
        .and_then(|row| row.as_ref().map(Checkpoint::read).transpose())
        .map_err(|error| sql_fault(READ, error))?;
        let Some((checkpoint, signature)) = newest else { return Ok((it, None)) };
        // Where the walk begins is believed to a key that is known, and to no other.
        let begins = checkpoint.check(&signature, keys);
        if let Err(why) = &begins {
            found(at(
                checkpoint.seq,
                &format!("says that all before it was detached, but was not signed by us: {why}"),
            ));
        }
        it.last = checkpoint.seq;
        it.signed = if begins.is_ok() { checkpoint.seq } else { 0 };
        Ok((it, begins.is_ok().then_some(checkpoint)))
    }

    /// Holds those after one entry and up to another against the entries between them.
    pub async fn compare(
        &mut self,
        database: &PgPool,
        after: i64,
        to: i64,
        entries: &[PgRow],
        found: &mut Found<'_>,
    ) -> Result<(), Fault> {
        let statement = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM ledger_checkpoints WHERE shard = $1 AND seq > $2 AND seq <= $3 ORDER BY seq"
        ));
        let mut rows = sqlx::query(statement).bind(SHARD).bind(after).bind(to).fetch(database);
        while let Some(row) = rows.try_next().await.map_err(|error| sql_fault(READ, error))? {
            let (checkpoint, signature) = Checkpoint::read(&row).map_err(|error| sql_fault(READ, error))?;
            let seq = checkpoint.seq;
            self.look(&checkpoint, &signature, found);
            self.gap(seq, found);
            self.last = seq;
            // An entry that is missing was told already.
            let mut hashes =
                entries.iter().filter(|it| it.get::<i64, _>("seq") == seq).map(hash_of).peekable();
            if hashes.peek().is_some() && !hashes.any(|it| it == checkpoint.hash) {
                found(at(
                    seq,
                    "has another hash than the entry: it was changed, or all entries were hashed anew",
                ));
            }
        }
        Ok(())
    }

    /// After the walk: whatever is missing, or beyond the end.
    pub async fn end(self, database: &PgPool, end: i64, found: &mut Found<'_>) -> Result<(), Fault> {
        if self.unknown > self.signed {
            let what = "was signed by a key that is not known, as all after it: previous_jwt_secrets must keep a secret until \
                        another one has signed";
            found(at(self.unknown, what));
        }
        let beyond: Vec<i64> = sqlx::query_scalar(
            "SELECT it.seq FROM ledger_checkpoints it JOIN ledger_heads head USING (shard)
             WHERE shard = $1 AND it.seq > head.seq ORDER BY it.seq LIMIT 100",
        )
        .bind(SHARD)
        .fetch_all(database)
        .await
        .map_err(|error| sql_fault(READ, error))?;
        if self.last == 0 && end > 0 && beyond.is_empty() {
            found(Difference { of: "the checkpoints".into(), what: "missing: there is none at all".into() });
        } else {
            self.gap(end, found);
        }
        for seq in beyond {
            found(at(seq, "is beyond the head: what came up to it was cut off"));
        }
        Ok(())
    }

    /// Whether somebody with a key has signed it, perhaps one that is not known any more. A later one by a known key vouches for it.
    fn look(&mut self, checkpoint: &Checkpoint, signature: &str, found: &mut Found<'_>) -> bool {
        match checkpoint.check(signature, self.keys) {
            Ok(()) => self.signed = checkpoint.seq,
            Err(VerifyError::UnknownKey(_)) => self.unknown = checkpoint.seq,
            Err(why) => {
                found(at(checkpoint.seq, &format!("was not signed by us: {why}")));
                return false;
            }
        }
        true
    }

    fn gap(&self, to: i64, found: &mut Found<'_>) {
        if to - self.last > WIDEST {
            let of = format!("the checkpoints between entries {} and {to}", self.last);
            found(Difference { of, what: format!("missing: there is one for each {EVERY} entries") });
        }
    }
}

fn hash_of(entry: &PgRow) -> String {
    hex(&entry.get::<Option<Vec<u8>>, _>("hash").unwrap_or_default())
}

fn at(seq: i64, what: &str) -> Difference {
    Difference { of: format!("the checkpoint at entry {seq}"), what: what.to_owned() }
}
