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

/// Doubles, and so Redis' scores, are exact to here.
const LARGEST_SCORE: i64 = (1 << 53) - 1;

/// What an entry says of a total, with its note as Postgres can keep it.
struct Award<'a> {
    entry: &'a Entry,
    points: i64,
    before: i64,
    after: i64,
    hlc_us: i64,
    note: String,
}

impl Award<'_> {
    fn link(&self) -> Link<'_> {
        Link {
            event_id: self.entry.id,
            user: self.entry.user,
            action: &self.entry.action,
            points: self.points,
            token_hash: &self.entry.token_hash,
            before: self.before,
            after: self.after,
            hlc_us: self.hlc_us,
            created_us: self.entry.at_ms.saturating_mul(1000),
            note: &self.note,
        }
    }

    /// Whether it says one thing; an entry that does not is refused by Postgres.
    fn adds_up(&self) -> bool {
        self.after.checked_sub(self.before) == Some(self.points)
    }
}

/// Chains what is new, and moves the totals by it. The head is locked by the caller, who saves it; so nobody else adds the same
/// meanwhile. An entry whose moment is not above `late_until` may come behind later ones of its user.
pub async fn write(
    transaction: &mut PgConnection,
    head: &mut Head,
    users: &Users,
    entries: &[Entry],
    late_until: i64,
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
    join_on(transaction, users, &mut awards, late_until).await?;
    // By the moment that the event had, like that of the one which cleared, wherever they are put.
    let is_held = |it: &Award| {
        it.entry.held && it.entry.award.is_some_and(|(.., hlc_us)| hlc_us > users.held_cleared(it.entry.user))
    };
    let rows: Vec<_> = awards.iter().map(|it| (it.link(), is_held(it))).collect();
    append(transaction, head, &rows).await?;
    move_totals(transaction, &rows).await
}

/// Makes each user's history go on where it is. Redis and the ledger agree on what a total was before an award, but for what is out of
/// the ordinary: an entry before it became a dead letter, or comes late, or Redis lost something that the ledger has. Then the points
/// count on top of what the user has here by now, as far as a total can go: the chain of a user's history never breaks, and no entry
/// is refused for what another one did.
async fn join_on(
    transaction: &mut PgConnection,
    users: &Users,
    awards: &mut [Award<'_>],
    late_until: i64,
) -> Result<(), sqlx::Error> {
    let mut totals: HashMap<Uuid, i64> = HashMap::new();
    let mut apart: HashSet<Uuid> = HashSet::new();
    for it in awards.iter() {
        let total = totals.entry(it.entry.user).or_insert_with(|| users.score(it.entry.user));
        if it.before != *total || it.hlc_us <= late_until {
            apart.insert(it.entry.user);
        }
        *total = it.after;
    }
    if apart.is_empty() {
        return Ok(());
    }
    let newest: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT user_id, max(hlc_us) FROM score_history WHERE user_id = ANY($1) GROUP BY user_id",
    )
    .bind(apart.iter().copied().collect::<Vec<Uuid>>())
    .fetch_all(transaction)
    .await?;
    let newest: HashMap<Uuid, i64> = newest.into_iter().collect();
    let mut at: HashMap<Uuid, (i64, i64)> = HashMap::new();
    let mut theirs: Vec<&mut Award> =
        awards.iter_mut().filter(|it| apart.contains(&it.entry.user) && it.adds_up()).collect();
    theirs.sort_by_key(|it| it.hlc_us);
    for it in theirs {
        let user = it.entry.user;
        let (total, hlc_us) = at
            .entry(user)
            .or_insert_with(|| (users.score(user), newest.get(&user).copied().unwrap_or(i64::MIN)));
        it.before = *total;
        it.after = total.saturating_add(it.points).clamp(0, LARGEST_SCORE);
        it.points = it.after - it.before;
        it.hlc_us = it.hlc_us.max(hlc_us.saturating_add(1));
        (*total, *hlc_us) = (it.after, it.hlc_us);
    }
    Ok(())
}

/// Puts what only an older copy of Redis still had behind what the ledger has won meanwhile without it.
pub async fn put_behind(connection: &mut PgConnection, entries: &mut [Entry]) -> Result<(), sqlx::Error> {
    let mut newest: i64 = sqlx::query_scalar("SELECT hlc_us FROM ledger_heads WHERE shard = $1")
        .bind(SHARD)
        .fetch_one(connection)
        .await?;
    for entry in entries {
        let Some((.., hlc_us)) = &mut entry.award else { continue };
        newest = (newest + 1).max(*hlc_us);
        *hlc_us = newest;
        if let Some(clears) = &mut entry.clears {
            *clears = newest;
        }
    }
    Ok(())
}

fn award(entry: &Entry) -> Option<Award<'_>> {
    let (before, after, hlc_us) = entry.award?;
    // Who and why, of an operator's entry; an award's proof is with its attempt.
    let note = if entry.kind == EntryKind::Awarded { String::new() } else { storable(&entry.proof) };
    Some(Award { entry, points: entry.points, before, after, hlc_us, note })
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
                                    score_after, hlc_us, created_at, held, note, shard, seq, hash)
         SELECT event_id, user_id, action_type, points, token_hash, before, after, hlc_us, created_at, held, note::jsonb, $14, seq, hash
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::timestamptz[], $10::boolean[], $11::text[], $12::bigint[], $13::bytea[])
              AS it (event_id, user_id, action_type, points, token_hash, before, after, hlc_us, created_at, held, note, seq, hash)",
    )
    .bind(rows.iter().map(|(it, _)| it.event_id).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.action).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.points).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.token_hash).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.before).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.after).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.hlc_us).collect::<Vec<i64>>())
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
