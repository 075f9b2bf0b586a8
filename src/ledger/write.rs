//! One batch of the outbox in one transaction. Every statement may meet rows that are there already: an entry can be
//! delivered more than once, and in any order across nodes.

use serde_json::Value;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::chain::Head;
use super::checkpoint::{self, Checkpoint};
use super::time::Time;
use super::users::Users;
use super::{awards, heads, sessions, used};
use crate::receipt::ReceiptKeys;
use crate::store::{Entry, EntryKind};

/// Where entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Of the outbox, in its order: they say how far the ledger has come.
    Outbox,
    /// A dead letter, however old: it goes behind what its user has by now, and says nothing of how far the ledger has come.
    DeadLetter,
}

/// Writes the entries, which come from the outboxes of so many shards. After it returns they are committed. Nobody else may write: the caller's connection has the lead.
pub async fn write(
    connection: &mut PgConnection,
    keys: &ReceiptKeys,
    shards: usize,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    write_from(connection, keys, shards, entries, Origin::Outbox).await
}

/// The same of entries that may come from elsewhere.
pub async fn write_from(
    connection: &mut PgConnection,
    keys: &ReceiptKeys,
    shards: usize,
    entries: &[Entry],
    origin: Origin,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut head = Head::take(&mut transaction).await?;
    let users = Users::read(&mut transaction, entries).await?;
    sessions::write(&mut transaction, entries).await?;
    write_attempts(&mut transaction, entries).await?;
    let begun = head.clone();
    let late_until = match origin {
        Origin::DeadLetter => i64::MAX,
        // One outbox is in the order of its moments; several come interleaved.
        Origin::Outbox if shards == 1 => begun.hlc_us,
        Origin::Outbox => i64::MIN,
    };
    awards::write(&mut transaction, &mut head, &users, entries, late_until).await?;
    // The leader compares an open board with this moment: so it is what Redis said, and no moment that an entry was given here.
    head.hlc_us = begun.hlc_us;
    if origin == Origin::Outbox {
        heads::write_hlcs(&mut transaction, &mut head, shards, entries).await?;
    }
    if head != begun {
        head.save(&mut transaction).await?;
    }
    used::write(&mut transaction, entries).await?;
    clear_held(&mut transaction, entries).await?;
    let checkpoint = checkpoint::write_if_due(&mut transaction, keys, &head).await?;
    transaction.commit().await?;
    checkpoint.iter().for_each(Checkpoint::log);
    Ok(())
}

/// `user_action`. A batch may hold two entries of one attempt: the later one is written, with the proof of whichever has one,
/// since a proven token was proven when it was issued.
async fn write_attempts(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut last = std::collections::HashMap::new();
    let mut proofs = std::collections::HashMap::new();
    let attempts = [EntryKind::Issued, EntryKind::Awarded, EntryKind::Refused, EntryKind::Traded];
    for entry in entries.iter().filter(|it| attempts.contains(&it.kind)) {
        let known = last.entry(entry.id).or_insert(entry);
        if known.kind == EntryKind::Issued {
            *known = entry;
        }
        if !entry.proof.is_empty() {
            proofs.insert(entry.id, entry.proof.as_str());
        }
    }
    let mut attempts: Vec<&Entry> = last.into_values().collect();
    // Ids begin with their time, so their index grows at its end.
    attempts.sort_unstable_by_key(|it| it.id);
    if attempts.is_empty() {
        return Ok(());
    }
    let at = |kinds: &'static [EntryKind]| {
        move |it: &&Entry| kinds.contains(&it.kind).then(|| Time::of_ms(it.at_ms))
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
    .bind(attempts.iter().map(|it| it.action.as_str()).collect::<Vec<&str>>())
    .bind(attempts.iter().map(|it| it.points).collect::<Vec<i64>>())
    .bind(attempts.iter().map(|it| proofs.get(&it.id).map(|it| storable(it))).collect::<Vec<Option<String>>>())
    .bind(attempts.iter().map(|it| unless_empty(&it.token_hash)).collect::<Vec<Option<&str>>>())
    .bind(attempts.iter().map(|it| unless_empty(&it.session)).collect::<Vec<Option<&str>>>())
    .bind(attempts.iter().map(|it| Time::of_ms(it.issued_ms)).collect::<Vec<Time>>())
    .bind(attempts.iter().map(|it| Time::of_ms(it.expires_ms)).collect::<Vec<Time>>())
    .bind(attempts.iter().map(at(&[EntryKind::Awarded, EntryKind::Traded])).collect::<Vec<Option<Time>>>())
    .bind(attempts.iter().map(at(&[EntryKind::Refused])).collect::<Vec<Option<Time>>>())
    .bind(attempts.iter().map(|it| proven_hash(it)).collect::<Vec<Option<&str>>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The token that went out with an attempt that begins with it; where a game's next token goes out, another one ended.
fn proven_hash(entry: &Entry) -> Option<&str> {
    (entry.kind == EntryKind::Issued).then(|| unless_empty(&entry.next_hash))?
}

/// A text of an entry, which is empty where there is none.
pub(super) fn unless_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// What was held up to a moment is held no more, whichever of the entries comes first. Who was to be voided by the entry is not set aside
/// any more: from here on the void outlives any loss of Redis, and nowhere earlier, so nobody else may clear these two.
async fn clear_held(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    for (id, user, hlc_us) in entries.iter().filter_map(|it| Some((it.id, it.user, it.clears?))) {
        let cleared = sqlx::query(
            "UPDATE users SET held_cleared = greatest(held_cleared, $2),
                              quarantined_at = CASE WHEN voids_id = $3 THEN NULL ELSE quarantined_at END, voids_id = nullif(voids_id, $3)
             WHERE id = $1",
        );
        cleared.bind(user).bind(hlc_us).bind(id).execute(&mut **transaction).await?;
        sqlx::query("UPDATE score_history SET held = FALSE WHERE user_id = $1 AND held AND hlc_us <= $2")
            .bind(user)
            .bind(hlc_us)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// JSON may carry U+0000, which Postgres' jsonb cannot: it is kept as the six characters that stand for it.
pub(super) fn storable(proof: &str) -> String {
    if !proof.contains("\\u0000") {
        return proof.to_owned();
    }
    match serde_json::from_str(proof) {
        Ok(mut value) => {
            spell_out_nul(&mut value);
            value.to_string()
        }
        _ => proof.to_owned(),
    }
}

fn spell_out_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\\u0000"),
        Value::Array(values) => values.iter_mut().for_each(spell_out_nul),
        Value::Object(fields) => {
            let spelled = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                spell_out_nul(&mut value);
                (name.replace('\0', "\\u0000"), value)
            });
            *fields = spelled.collect();
        }
        _ => {}
    }
}
