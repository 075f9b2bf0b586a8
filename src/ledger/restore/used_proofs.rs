//! Used attestations: stored until they expire, and loaded into a Redis that lost them.

use futures::TryStreamExt;
use sqlx::{Postgres, Row, Transaction};

use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::ledger::pg_time::PgTime;
use crate::store::{Entry, Load, REMEMBERED_MS};

/// Attestations per round trip.
const BATCH: usize = 2000;

/// Writes the attestations that a batch used.
pub async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let used = entries.iter().filter_map(|entry| entry.once.as_ref());
    let used: Vec<(&str, i64)> = used
        .flat_map(|(until_ms, digests)| digests.iter().map(move |digest| (digest.as_str(), *until_ms)))
        .collect();
    if used.is_empty() {
        return Ok(());
    }
    let (digests, until): (Vec<&str>, Vec<PgTime>) =
        used.into_iter().map(|(digest, until_ms)| (digest, PgTime::from_ms(until_ms))).unzip();
    sqlx::query(
        "INSERT INTO used_proofs (digest, until_at)
         SELECT digest, until_at FROM unnest($1::text[], $2::timestamptz[]) AS it (digest, until_at)
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(digests)
    .bind(until)
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Loads those that Redis would still remember. Uses Redis' clock, which decides whether one has expired. Postgres' clock may be ahead, and
/// an attestation that is still valid would be missing.
///
/// # Errors
/// A store is unavailable, or another node loads the board.
pub async fn load_used(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<(), Fault> {
    let now_ms = ledger.store.now_us().await? / 1000;
    let mut rows = sqlx::query(
        "SELECT digest, (extract(epoch FROM until_at) * 1000)::bigint AS until_ms FROM used_proofs WHERE until_at > $1",
    )
    .bind(PgTime::from_ms(now_ms - REMEMBERED_MS))
    .fetch(leader.connection());
    let mut batch: Vec<(String, i64)> = Vec::new();
    loop {
        let row = rows.try_next().await.map_err(|error| sql_fault("read_used_proofs", error))?;
        let is_end = row.is_none();
        batch.extend(row.map(|row| (row.get("digest"), row.get("until_ms"))));
        if batch.len() == BATCH || is_end {
            for (load, _) in loads {
                load.used(&batch).await?;
            }
            batch.clear();
        }
        if is_end {
            return Ok(());
        }
    }
}
