//! The walk along the chain. Every entry is hashed again, so changed, removed and inserted entries are found and named.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::checkpoints::CheckpointVerifier;
use super::{Mismatch, Report};
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::chain::checkpoint::Checkpoint;
use crate::ledger::chain::{GENESIS_HASH, Hash, LINK_COLUMNS, Link, SHARD};
use crate::receipt::ReceiptVerifier;

/// Entries per page.
const PAGE: i64 = 5000;
/// Hashes followed where several entries share a position. There should be one.
const MAX_DUPLICATES: usize = 16;
const DOING: &str = "read_chain";

/// Current position of the walk.
struct Position {
    seq: i64,
    /// Possible hashes of this position: several if entries share it.
    hashes: Vec<Hash>,
    /// Possible hashes of the position before.
    previous: Vec<Hash>,
    event_id: Uuid,
}

impl Position {
    /// Before the first entry, or at the last detached one.
    fn new(start: Option<&Checkpoint>) -> Self {
        let (seq, hash) = start.map_or((0, None), |checkpoint| (checkpoint.seq, checkpoint.hash()));
        Self { seq, hashes: vec![hash.unwrap_or(GENESIS_HASH)], previous: Vec::new(), event_id: Uuid::max() }
    }
}

/// Walks the chain up to its head at the time of the call. Returns the number of entries.
pub async fn walk(
    database: &PgPool,
    keys: &ReceiptVerifier,
    progress: &(dyn Fn(u64) + Sync),
    report: &mut Report<'_>,
) -> Result<u64, Fault> {
    let (head_seq, head_hash) = read_head(database).await?;
    let (mut checkpoints, start) = CheckpointVerifier::new(database, keys, report).await?;
    let mut position = Position::new(start.as_ref());
    let first = position.seq;
    let mut entries = 0;
    loop {
        let (rows, after) = (read_page(database, &position, head_seq).await?, position.seq);
        for row in &rows {
            check_entry(&mut position, row, report)?;
        }
        let is_last_page = rows.len() < PAGE as usize;
        let to = if is_last_page { head_seq } else { position.seq };
        checkpoints.compare(database, after, to, &rows, report).await?;
        check_attempts(database, &rows, report).await?;
        entries += rows.len() as u64;
        progress(entries);
        if is_last_page {
            break;
        }
    }
    if position.seq < head_seq {
        let detail = format!("missing: the chain's head is at entry {head_seq}");
        report(Mismatch::new(entry_range(position.seq + 1, head_seq), detail));
    } else if !position.hashes.iter().any(|hash| hash.as_slice() == head_hash) {
        report(Mismatch::new("the chain's head", format!("does not have the hash of entry {head_seq}")));
    }
    checkpoints.finish(database, head_seq, report).await?;
    if CheckpointVerifier::new(database, keys, &mut |_| ()).await?.1 != start {
        return Err(Fault::retryable(DOING, "months were detached during the verification: run it again"));
    }
    check_outside_chain(database, first, report).await?;
    Ok(entries)
}

/// Checks one entry against the one before it.
fn check_entry(position: &mut Position, row: &PgRow, report: &mut Report<'_>) -> Result<(), Fault> {
    let link = Link::read(row).map_err(|error| sql_fault(DOING, error))?;
    let (seq, event_id): (i64, Uuid) = (row.get("seq"), link.event_id);
    if seq == position.seq {
        let detail =
            format!("has the same position as event {}: one of them was inserted", position.event_id);
        report(Mismatch::new(entry_name(seq, event_id), detail));
    } else {
        let follows_gap = seq > position.seq + 1;
        if follows_gap {
            report(Mismatch::new(entry_range(position.seq + 1, seq - 1), "missing"));
        }
        position.previous = std::mem::take(&mut position.hashes);
        // After a gap there is no previous hash to compare with.
        if follows_gap {
            position.previous.clear();
        }
        (position.seq, position.event_id) = (seq, event_id);
    }
    let stored = row.get::<Option<Vec<u8>>, _>("hash").and_then(|bytes| Hash::try_from(bytes).ok());
    let expected: Vec<Hash> = position.previous.iter().map(|previous| link.hash(seq, previous)).collect();
    let matches = stored.is_some_and(|hash| expected.contains(&hash));
    if !matches && !expected.is_empty() {
        let detail = format!("does not match its hash: it was changed, or the hash of entry {} was", seq - 1);
        report(Mismatch::new(entry_name(seq, event_id), detail));
    }
    if position.hashes.len() < MAX_DUPLICATES {
        // Continue with the stored hash, so that one change is reported once.
        position.hashes.extend(stored.or(expected.first().copied()));
    }
    Ok(())
}

/// Every award needs a spent token: its attempt is written with it and has the token's hash. Adjustments have no token.
async fn check_attempts(database: &PgPool, rows: &[PgRow], report: &mut Report<'_>) -> Result<(), Fault> {
    let awards: Vec<&PgRow> =
        rows.iter().filter(|row| !row.get::<&str, _>("action_token_hash").is_empty()).collect();
    let without: Vec<Uuid> = sqlx::query_scalar(
        "SELECT it.id FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS it (id, user_id, hash)
         WHERE NOT EXISTS (SELECT FROM user_action WHERE user_action.id = it.id AND user_action.user_id = it.user_id
                                                     AND user_action.token_hash = it.hash)",
    )
    .bind(awards.iter().map(|row| row.get("event_id")).collect::<Vec<Uuid>>())
    .bind(awards.iter().map(|row| row.get("user_id")).collect::<Vec<Uuid>>())
    .bind(awards.iter().map(|row| row.get("action_token_hash")).collect::<Vec<&str>>())
    .fetch_all(database)
    .await
    .map_err(|error| sql_fault("read_award_attempts", error))?;
    for row in awards.iter().filter(|row| without.contains(&row.get("event_id"))) {
        let name = entry_name(row.get("seq"), row.get("event_id"));
        report(Mismatch::new(name, "has no attempt with its token hash: no token was spent for it"));
    }
    Ok(())
}

async fn read_head(database: &PgPool) -> Result<(i64, Vec<u8>), Fault> {
    sqlx::query_as("SELECT seq, hash FROM ledger_heads WHERE shard = $1")
        .bind(SHARD)
        .fetch_one(database)
        .await
        .map_err(|error| sql_fault(DOING, error))
}

async fn read_page(database: &PgPool, position: &Position, head_seq: i64) -> Result<Vec<PgRow>, Fault> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT seq, hash, {LINK_COLUMNS} FROM score_history
         WHERE shard = $1 AND (seq, event_id) > ($2, $3) AND seq <= $4
         ORDER BY seq, event_id LIMIT $5"
    )));
    let rows = rows.bind(SHARD).bind(position.seq).bind(position.event_id).bind(head_seq).bind(PAGE);
    rows.fetch_all(database).await.map_err(|error| sql_fault(DOING, error))
}

/// Reports entries that are not between the start of the walk and the head.
async fn check_outside_chain(database: &PgPool, first: i64, report: &mut Report<'_>) -> Result<(), Fault> {
    let mut rows = sqlx::query(
        "SELECT it.event_id, it.seq, it.shard, head.seq AS last
         FROM score_history it, ledger_heads head
         WHERE head.shard = $1 AND (it.shard <> $1 OR it.seq > head.seq OR it.seq <= $2)",
    )
    .bind(SHARD)
    .bind(first)
    .fetch(database);
    while let Some(row) = rows.try_next().await.map_err(|error| sql_fault(DOING, error))? {
        let (shard, seq, last): (i16, i64, i64) = (row.get("shard"), row.get("seq"), row.get("last"));
        let detail = if shard == SHARD {
            format!("was inserted as entry {seq}: the chain has entries {} to {last}", first + 1)
        } else {
            format!("was inserted: there is no chain {shard}")
        };
        report(Mismatch::new(format!("event {}", row.get::<Uuid, _>("event_id")), detail));
    }
    Ok(())
}

fn entry_name(seq: i64, event_id: Uuid) -> String {
    format!("entry {seq} (event {event_id})")
}

fn entry_range(first: i64, last: i64) -> String {
    if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") }
}
