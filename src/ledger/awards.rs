//! `score_history` and `users.score`: what moved a total is chained to the ledger, once.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::chain::{Hash, Head, Link, SHARD};
use super::time::Time;
use super::users::Users;
use super::write::{storable, unless_empty};
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
    users: &Users,
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
    let is_held = |it: &Award| it.entry.held && it.moment > users.held_cleared(it.entry.user);
    let rows: Vec<_> = awards.iter().map(|it| (it.link(), is_held(it))).collect();
    append(transaction, head, &rows).await?;
    move_totals(transaction, &rows).await?;
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

/// Moves the totals of the users by their new entries.
async fn move_totals(transaction: &mut PgConnection, rows: &[(Link<'_>, bool)]) -> Result<(), sqlx::Error> {
    let mut won: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (link, _) in rows {
        let points = won.entry(link.user).or_default();
        *points = points.saturating_add(link.points);
    }
    let (users, points): (Vec<Uuid>, Vec<i64>) = won.into_iter().unzip();
    sqlx::query(
        "UPDATE users SET score = score + points, updated_at = now()
         FROM unnest($1::uuid[], $2::bigint[]) AS won (user_id, points) WHERE users.id = user_id",
    )
    .bind(users)
    .bind(points)
    .execute(transaction)
    .await
    .map(drop)
}

/// Chains entries of users whom Postgres knows, each with whether its points are held; the caller saves the head.
pub async fn append(
    transaction: &mut PgConnection,
    head: &mut Head,
    rows: &[(Link<'_>, bool)],
) -> Result<(), sqlx::Error> {
    let places: Vec<(i64, Hash)> = rows.iter().map(|(link, _)| head.append(link)).collect();
    sqlx::query(
        "INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before,
                                    score_after, moment, created_at, held, note, shard, seq, hash)
         SELECT event_id, user_id, action_type, points, token_hash, before, after, moment, created_at, held, note::jsonb, $14, seq, hash
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::timestamptz[], $10::boolean[], $11::text[], $12::bigint[], $13::bytea[])
              AS it (event_id, user_id, action_type, points, token_hash, before, after, moment, created_at, held, note, seq, hash)",
    )
    .bind(rows.iter().map(|(it, _)| it.event_id).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.action).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.points).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.token_hash).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.before).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.after).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.moment).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| Time::of_us(it.created_us)).collect::<Vec<Time>>())
    .bind(rows.iter().map(|(_, held)| *held).collect::<Vec<bool>>())
    .bind(rows.iter().map(|(it, _)| unless_empty(it.note)).collect::<Vec<Option<&str>>>())
    .bind(places.iter().map(|(seq, _)| *seq).collect::<Vec<i64>>())
    .bind(places.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<&[u8]>>())
    .bind(SHARD)
    .execute(transaction)
    .await
    .map(drop)
}
