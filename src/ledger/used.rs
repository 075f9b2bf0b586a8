//! Attestations that were used: kept until they run out, and loaded into a Redis that lost them.

use futures::TryStreamExt;
use sqlx::{Postgres, Row, Transaction};

use super::leader::LeaderLock;
use super::sql_fault;
use super::time::Time;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Entry, Load, REMEMBERED_MS};

/// Attestations a round trip.
const BATCH: usize = 2000;

/// Writes what a batch used up.
pub async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let used = entries.iter().filter_map(|it| it.once.as_ref());
    let used: Vec<(&str, i64)> =
        used.flat_map(|(until_ms, all)| all.iter().map(move |it| (it.as_str(), *until_ms))).collect();
    if used.is_empty() {
        return Ok(());
    }
    let (digests, until): (Vec<&str>, Vec<Time>) =
        used.into_iter().map(|(digest, until_ms)| (digest, Time::of_ms(until_ms))).unzip();
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

/// Loads those that Redis would still remember. Redis judges whether one has run out, so this goes by its clock: by Postgres', which
/// may be ahead, the last moments of one would be free.
///
/// # Errors
/// A store is away, or somebody else loads the board.
pub async fn load_used(app: &App, leader: &mut LeaderLock, loads: &[(Load<'_>, bool)]) -> Result<(), Fault> {
    let now_ms = app.store.now_us().await? / 1000;
    let mut rows = sqlx::query(
        "SELECT digest, (extract(epoch FROM until_at) * 1000)::bigint AS until_ms FROM used_proofs WHERE until_at > $1",
    )
    .bind(Time::of_ms(now_ms - REMEMBERED_MS))
    .fetch(leader.connection());
    let mut batch: Vec<(String, i64)> = Vec::new();
    loop {
        let row = rows.try_next().await.map_err(|error| sql_fault("read used attestations", error))?;
        let end = row.is_none();
        batch.extend(row.map(|it| (it.get("digest"), it.get("until_ms"))));
        if batch.len() == BATCH || end {
            for (load, _) in loads {
                load.used(&batch).await?;
            }
            batch.clear();
        }
        if end {
            return Ok(());
        }
    }
}
