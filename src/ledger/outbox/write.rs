//! Writes one batch of the outbox in one transaction. Every statement tolerates rows that exist already: an entry may be delivered more
//! than once, and in any order across nodes.

use serde_json::Value;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::ledger::boards::Committed;
use crate::ledger::chain::Head;
use crate::ledger::chain::checkpoint::{self, Checkpoint};
use crate::ledger::outbox::batch_users::BatchUsers;
use crate::ledger::outbox::{awards, game_sessions, held_decisions};
use crate::ledger::pg_time::PgTime;
use crate::ledger::restore::{shard_heads, used_proofs};
use crate::receipt::ReceiptKeys;
use crate::store::{Entry, EntryKind};

/// Where entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The outbox, in order: they advance the ledger's clock.
    Outbox,
    /// A dead letter of any age: it is appended to its user's current history and does not advance the ledger's clock.
    DeadLetter,
}

/// Writes and commits entries from the outboxes of `shards` Redis shards. The caller's connection holds the leader lock, so nobody else
/// writes. Returns the new entries of the chain.
pub async fn write_batch(
    connection: &mut PgConnection,
    keys: &ReceiptKeys,
    shards: usize,
    entries: &[Entry],
    origin: Origin,
) -> Result<Committed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut head = Head::lock(&mut transaction).await?;
    let users = BatchUsers::read(&mut transaction, entries).await?;
    game_sessions::write(&mut transaction, entries).await?;
    write_attempts(&mut transaction, entries).await?;
    let before = head.clone();
    let late_until = match origin {
        Origin::DeadLetter => i64::MAX,
        // One outbox is in clock order. Several are interleaved.
        Origin::Outbox if shards == 1 => before.hlc_us,
        Origin::Outbox => i64::MIN,
    };
    let added = awards::write(&mut transaction, &mut head, &users, entries, late_until).await?;
    // The leader compares open boards with this clock, so it must be Redis' own and not one that an entry was given here.
    head.hlc_us = before.hlc_us;
    if origin == Origin::Outbox {
        shard_heads::advance(&mut transaction, &mut head, shards, entries).await?;
    }
    if head != before {
        head.save(&mut transaction).await?;
    }
    used_proofs::write(&mut transaction, entries).await?;
    held_decisions::write(&mut transaction, entries).await?;
    let checkpoint = checkpoint::write_if_due(&mut transaction, keys, &head).await?;
    transaction.commit().await?;
    checkpoint.iter().for_each(Checkpoint::log);
    Ok(Committed { from_seq: before.seq, to_seq: head.seq, entries: added })
}

/// Writes `user_action`. A batch may contain two entries of one attempt. The later one is written; the proof is taken from either, since a
/// verified token has its proof in the `issued` entry.
async fn write_attempts(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut last = std::collections::HashMap::new();
    let mut proofs = std::collections::HashMap::new();
    let attempts = [EntryKind::Issued, EntryKind::Awarded, EntryKind::Refused, EntryKind::Traded];
    for entry in entries.iter().filter(|entry| attempts.contains(&entry.kind)) {
        let known = last.entry(entry.id).or_insert(entry);
        if known.kind == EntryKind::Issued {
            *known = entry;
        }
        if !entry.proof.is_empty() {
            proofs.insert(entry.id, entry.proof.as_str());
        }
    }
    let mut attempts: Vec<&Entry> = last.into_values().collect();
    // Ids start with a timestamp: in order, they are added at the end of the index.
    attempts.sort_unstable_by_key(|it| it.id);
    if attempts.is_empty() {
        return Ok(());
    }
    let time_if = |kinds: &'static [EntryKind]| {
        move |entry: &&Entry| kinds.contains(&entry.kind).then(|| PgTime::from_ms(entry.at_ms))
    };
    sqlx::query(
        "INSERT INTO user_action (id, user_id, action_type, score_value, proof_of_work, token_hash, session_id,
                                  created_at, expires_at, completed_at, refused_at, proven_hash)
         SELECT id, user_id, action_type, score_value, proof::jsonb, token_hash, session_id, created_at, expires_at, completed_at,
                refused_at, proven_hash
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
                     $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[])
              AS it (id, user_id, action_type, score_value, proof, token_hash, session_id, created_at, expires_at, completed_at,
                     refused_at, proven_hash)
         ON CONFLICT (id) DO UPDATE
         SET proof_of_work = coalesce(user_action.proof_of_work, excluded.proof_of_work),
             token_hash = coalesce(user_action.token_hash, excluded.token_hash),
             score_value = CASE WHEN excluded.token_hash IS NULL THEN user_action.score_value ELSE excluded.score_value END,
             completed_at = coalesce(user_action.completed_at, excluded.completed_at),
             refused_at = coalesce(user_action.refused_at, excluded.refused_at)
         WHERE (excluded.token_hash IS NOT NULL AND user_action.token_hash IS NULL)
            OR (excluded.proof_of_work IS NOT NULL AND user_action.proof_of_work IS NULL)",
    )
    .bind(attempts.iter().map(|it| it.id).collect::<Vec<Uuid>>())
    .bind(attempts.iter().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(attempts.iter().map(|entry| entry.action.as_str()).collect::<Vec<&str>>())
    .bind(attempts.iter().map(|it| it.points).collect::<Vec<i64>>())
    .bind(attempts.iter().map(|entry| proofs.get(&entry.id).map(|proof| storable(proof))).collect::<Vec<Option<String>>>())
    .bind(attempts.iter().map(|entry| unless_empty(&entry.token_hash)).collect::<Vec<Option<&str>>>())
    .bind(attempts.iter().map(|entry| unless_empty(&entry.session)).collect::<Vec<Option<&str>>>())
    .bind(attempts.iter().map(|entry| PgTime::from_ms(entry.issued_ms)).collect::<Vec<PgTime>>())
    .bind(attempts.iter().map(|entry| PgTime::from_ms(entry.expires_ms)).collect::<Vec<PgTime>>())
    .bind(attempts.iter().map(time_if(&[EntryKind::Awarded, EntryKind::Traded])).collect::<Vec<Option<PgTime>>>())
    .bind(attempts.iter().map(time_if(&[EntryKind::Refused])).collect::<Vec<Option<PgTime>>>())
    .bind(attempts.iter().map(|entry| proven_hash(entry)).collect::<Vec<Option<&str>>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Hash of the verified token that this entry issued. In other entries `next_hash` is a game session's next token.
fn proven_hash(entry: &Entry) -> Option<&str> {
    (entry.kind == EntryKind::Issued).then(|| unless_empty(&entry.next_hash))?
}

/// None for an empty field.
pub(super) fn unless_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// JSON may contain U+0000, which Postgres' jsonb rejects. It is stored as the six characters `\\u0000`.
pub(super) fn storable(proof: &str) -> String {
    if !proof.contains("\\u0000") {
        return proof.to_owned();
    }
    match serde_json::from_str(proof) {
        Ok(mut value) => {
            escape_nul(&mut value);
            value.to_string()
        }
        _ => proof.to_owned(),
    }
}

fn escape_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\\u0000"),
        Value::Array(values) => values.iter_mut().for_each(escape_nul),
        Value::Object(fields) => {
            let escaped = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                escape_nul(&mut value);
                (name.replace('\0', "\\u0000"), value)
            });
            *fields = escaped.collect();
        }
        _ => {}
    }
}
