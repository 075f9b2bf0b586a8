//! `score_history` and `users.score`: what moved a total is chained to the ledger, once.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::chain::{Hash, Head, Link, SHARD};
use super::write::storable;
use crate::store::{Entry, EntryKind};

/// Tokens and attestations live for at most 31 days, so an event that comes again under another time is not further away from the
/// first one; an entry that is delivered again has its old time. What is older is not looked for, and may be detached.
pub const AGAIN_WITHIN_DAYS: i32 = 32;

/// What an entry says of a total, with its note as Postgres can keep it.
struct Award<'a> {
    entry: &'a Entry,
    before: i64,
    after: i64,
    moment: i64,
    note: String,
}

impl Award<'_> {
    fn link(&self) -> Link<'_> {
        Link {
            event_id: self.entry.id,
            user: self.entry.user,
            action: &self.entry.action,
            points: self.entry.points,
            token_hash: &self.entry.token_hash,
            before: self.before,
            after: self.after,
            moment: self.moment,
            created_us: self.entry.at_ms * 1000,
            note: &self.note,
        }
    }
}

/// Chains what is new, and moves the totals by it. The head is locked by the caller, so nobody else adds the same meanwhile.
pub async fn write(
    transaction: &mut PgConnection,
    head: &mut Head,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut awards: Vec<Award> = entries.iter().filter_map(award).collect();
    if awards.is_empty() {
        return Ok(());
    }
    let mut known = known(transaction, &awards).await?;
    awards.retain(|it| known.insert(it.entry.id));
    if awards.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = awards.iter().map(|it| (it.link(), it.entry.held)).collect();
    append(transaction, head, &rows, true).await?;
    head.save(transaction).await
}

/// Puts what only an older copy of Redis still had behind what the ledger has won meanwhile without it: the points count, and come
/// on top of the user's total as it is now.
pub async fn put_behind(connection: &mut PgConnection, entries: &mut [Entry]) -> Result<(), sqlx::Error> {
    let awards: Vec<Award> = entries.iter().filter_map(award).collect();
    let mut known = known(connection, &awards).await?;
    let users: Vec<Uuid> = awards.iter().map(|it| it.entry.user).collect();
    let scores: Vec<(Uuid, i64)> = sqlx::query_as("SELECT id, score FROM users WHERE id = ANY($1)")
        .bind(users)
        .fetch_all(&mut *connection)
        .await?;
    let mut scores: HashMap<Uuid, i64> = scores.into_iter().collect();
    let mut newest: i64 = sqlx::query_scalar("SELECT moment FROM ledger_heads WHERE shard = $1")
        .bind(SHARD)
        .fetch_one(connection)
        .await?;
    for entry in entries {
        if let Some((before, after, moment)) = &mut entry.award
            && known.insert(entry.id)
            && let Some(score) = scores.get_mut(&entry.user)
        {
            newest = (newest + 1).max(*moment);
            (*before, *after, *moment) = (*score, *score + *after - *before, newest);
            *score = *after;
        }
    }
    Ok(())
}

fn award(entry: &Entry) -> Option<Award<'_>> {
    let (before, after, moment) = entry.award?;
    // Who and why, of an operator's entry; an award's proof is with its attempt.
    let note = if entry.kind == EntryKind::Awarded { String::new() } else { storable(&entry.proof) };
    Some(Award { entry, before, after, moment, note })
}

/// Which of them the ledger has. The months it looks at are few.
async fn known(transaction: &mut PgConnection, awards: &[Award<'_>]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let times_ms = || awards.iter().map(|it| it.entry.at_ms);
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT event_id FROM score_history
         WHERE event_id = ANY($1) AND created_at >= to_timestamp($2::bigint / 1000.0) - make_interval(days => $4)
               AND created_at <= to_timestamp($3::bigint / 1000.0) + make_interval(days => $4)",
    )
    .bind(awards.iter().map(|it| it.entry.id).collect::<Vec<Uuid>>())
    .bind(times_ms().min())
    .bind(times_ms().max())
    .bind(AGAIN_WITHIN_DAYS)
    .fetch_all(transaction)
    .await?;
    Ok(found.into_iter().collect())
}

/// Chains entries, each with whether its user was set aside when it was made; the caller saves the head. Their users' totals move by
/// them, unless what they sum up is in the totals already.
///
/// A user whom Postgres does not know is an error here, by the foreign key: such an entry stays in the outbox, where it is seen.
pub async fn append(
    transaction: &mut PgConnection,
    head: &mut Head,
    rows: &[(Link<'_>, bool)],
    moves_totals: bool,
) -> Result<(), sqlx::Error> {
    let places: Vec<(i64, Hash)> = rows.iter().map(|(link, _)| head.append(link)).collect();
    sqlx::query(
        "WITH fresh AS (
             INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before,
                                        score_after, moment, created_at, held, note, shard, seq, hash)
             SELECT event_id, user_id, action_type, points, token_hash, before, after, moment,
                    to_timestamp(created_us / 1000000.0), it.held AND moment > coalesce(users.held_cleared, 0),
                    nullif(it.note, '')::jsonb, $14, seq, hash
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
                         $8::bigint[], $9::bigint[], $10::boolean[], $11::text[], $12::bigint[], $13::bytea[])
                  AS it (event_id, user_id, action_type, points, token_hash, before, after, moment, created_us, held, note, seq, hash)
             LEFT JOIN users ON users.id = it.user_id
             RETURNING user_id, points_earned
         ), won AS (SELECT user_id, sum(points_earned)::bigint AS points FROM fresh WHERE $15 GROUP BY user_id)
         UPDATE users SET score = score + won.points, updated_at = now() FROM won WHERE users.id = won.user_id",
    )
    .bind(rows.iter().map(|(it, _)| it.event_id).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.action).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.points).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.token_hash).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.before).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.after).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.moment).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.created_us).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(_, held)| *held).collect::<Vec<bool>>())
    .bind(rows.iter().map(|(it, _)| it.note).collect::<Vec<&str>>())
    .bind(places.iter().map(|(seq, _)| *seq).collect::<Vec<i64>>())
    .bind(places.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<&[u8]>>())
    .bind(SHARD)
    .bind(moves_totals)
    .execute(transaction)
    .await
    .map(drop)
}
