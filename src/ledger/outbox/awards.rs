//! Appends score changes to `score_history`, each exactly once, and updates `users.score`.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::ledger::boards::{EntryUser, LedgerEntry};
use crate::ledger::chain::{Hash, Head, Link, SHARD};
use crate::ledger::outbox::batch_users::BatchUsers;
use crate::ledger::outbox::held_decisions::{self, Marks};
use crate::ledger::outbox::write::{storable, unless_empty};
use crate::ledger::pg_time::PgTime;
use crate::store::{Entry, EntryKind};

/// How far apart two entries of one event can be. Tokens and attestations live for at most 31 days, and an entry that is delivered twice
/// keeps its time. Older entries are not searched for duplicates and may be detached.
pub const DUPLICATE_WINDOW_DAYS: i32 = 32;

/// Redis scores are doubles, which are exact up to here.
const LARGEST_SCORE: i64 = (1 << 53) - 1;

/// An entry's change of a total, with its note in a form that Postgres accepts.
struct ScoreChange<'a> {
    entry: &'a Entry,
    points: i64,
    before: i64,
    after: i64,
    hlc_us: i64,
    note: String,
}

impl ScoreChange<'_> {
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

    /// An award that was voided before it arrives gives back what the void already removed for it, so that both together change nothing.
    fn limit_points(&mut self, unmarked_points: i64) {
        self.points = self.points.min(unmarked_points);
        self.after = self.before + self.points;
    }

    /// True if before, after and points match. Postgres rejects other entries.
    fn is_consistent(&self) -> bool {
        self.after.checked_sub(self.before) == Some(self.points)
    }
}

/// Appends the entries that are new and updates the totals. The caller has locked the head and saves it, so nobody else adds the same
/// entries. An entry with a clock up to `late_until` may be older than its user's newest entry. Returns what boards need of the new entries.
pub async fn write(
    transaction: &mut PgConnection,
    head: &mut Head,
    users: &BatchUsers,
    entries: &[Entry],
    late_until: i64,
) -> Result<Vec<LedgerEntry>, sqlx::Error> {
    let mut changes: Vec<ScoreChange> = entries.iter().filter_map(score_change).collect();
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut recorded = find_recorded(transaction, &changes).await?;
    changes.retain(|change| recorded.insert(change.entry.id));
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut marks = held_decisions::marks(transaction, changes.iter().map(|change| change.entry)).await?;
    for change in changes.iter_mut().filter(|change| change.is_consistent()) {
        if let Some(void) = marks.get(&change.entry.id).and_then(|marks| marks.voided_by) {
            change.limit_points(held_decisions::unmarked_points(transaction, void).await?);
        }
    }
    rebase(transaction, users, &mut changes, late_until).await?;
    let rows: Vec<_> = changes
        .iter()
        .map(|change| (change.link(), marks.remove(&change.entry.id).unwrap_or_default()))
        .collect();
    let numbered = (head.seq + 1..).zip(&rows);
    append(transaction, head, &rows).await?;
    let users = update_totals(transaction, &rows).await?;
    let added = numbered
        .filter_map(|(seq, (link, marks))| LedgerEntry::added(seq, link, *marks, users.get(&link.user)?));
    Ok(added.collect())
}

/// Rebases changes onto the ledger's totals. Usually an entry's `before` is the user's total in the ledger. It is not if an earlier entry
/// became a dead letter, if the entry arrives late, or if Redis lost entries that the ledger has. Then its points are added to the current
/// total, within the limits of a total. So a user's history never breaks, and no entry is rejected because of another one.
///
/// Such an entry's clock, which tells its period on a board, is its own if that is above all of the user's in the ledger, however long ago it
/// was; else one more than the newest of them. So a dead letter that is retried can be in an earlier period than today's, or in a later one
/// than the award.
async fn rebase(
    transaction: &mut PgConnection,
    users: &BatchUsers,
    changes: &mut [ScoreChange<'_>],
    late_until: i64,
) -> Result<(), sqlx::Error> {
    let mut totals: HashMap<Uuid, i64> = HashMap::new();
    let mut diverged: HashSet<Uuid> = HashSet::new();
    for change in changes.iter() {
        let user = change.entry.user;
        let total = totals.entry(user).or_insert_with(|| users.score(user));
        if change.before != *total || change.hlc_us <= late_until {
            diverged.insert(user);
        }
        *total = change.after;
    }
    if diverged.is_empty() {
        return Ok(());
    }
    let newest: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT user_id, max(hlc_us) FROM score_history WHERE user_id = ANY($1) GROUP BY user_id",
    )
    .bind(diverged.iter().copied().collect::<Vec<Uuid>>())
    .fetch_all(transaction)
    .await?;
    let newest: HashMap<Uuid, i64> = newest.into_iter().collect();
    let mut ends: HashMap<Uuid, (i64, i64)> = HashMap::new();
    let mut rebased: Vec<&mut ScoreChange> = changes
        .iter_mut()
        .filter(|change| diverged.contains(&change.entry.user) && change.is_consistent())
        .collect();
    rebased.sort_by_key(|it| it.hlc_us);
    for change in rebased {
        let user = change.entry.user;
        let (total, hlc_us) = ends
            .entry(user)
            .or_insert_with(|| (users.score(user), newest.get(&user).copied().unwrap_or(i64::MIN)));
        change.before = *total;
        change.after = total.saturating_add(change.points).clamp(0, LARGEST_SCORE);
        change.points = change.after - change.before;
        change.hlc_us = change.hlc_us.max(hlc_us.saturating_add(1));
        (*total, *hlc_us) = (change.after, change.hlc_us);
    }
    Ok(())
}

/// Gives entries that only an older copy of Redis still had a clock after the ledger's newest entry.
pub async fn move_behind_ledger(
    connection: &mut PgConnection,
    entries: &mut [Entry],
) -> Result<(), sqlx::Error> {
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

fn score_change(entry: &Entry) -> Option<ScoreChange<'_>> {
    let (before, after, hlc_us) = entry.award?;
    // An award's proof is stored with its attempt. An admin's entry has the actor and the reason in its place.
    let note = if entry.kind == EntryKind::Awarded { &entry.result } else { &entry.proof };
    Some(ScoreChange { entry, points: entry.points, before, after, hlc_us, note: storable(note) })
}

/// Events that the ledger has already. Reads only the partitions within the duplicate window.
async fn find_recorded(
    transaction: &mut PgConnection,
    changes: &[ScoreChange<'_>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let times_ms = || changes.iter().map(|change| change.entry.at_ms);
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT event_id FROM score_history
         WHERE event_id = ANY($1) AND created_at >= to_timestamp($2::bigint / 1000.0) - make_interval(days => $4)
               AND created_at <= to_timestamp($3::bigint / 1000.0) + make_interval(days => $4)",
    )
    .bind(changes.iter().map(|change| change.entry.id).collect::<Vec<Uuid>>())
    .bind(times_ms().min())
    .bind(times_ms().max())
    .bind(DUPLICATE_WINDOW_DAYS)
    .fetch_all(transaction)
    .await?;
    Ok(found.into_iter().collect())
}

/// Adds the new entries to the users' totals, and returns the users. It locks their rows until the commit. So no user with an entry can be
/// deleted, because a deletion looks for entries then; and a ban or a quarantine is either seen here, or its board correction comes after the
/// new entries.
async fn update_totals(
    transaction: &mut PgConnection,
    rows: &[(Link<'_>, Marks)],
) -> Result<HashMap<Uuid, EntryUser>, sqlx::Error> {
    let mut sums: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (link, _) in rows {
        let points = sums.entry(link.user).or_default();
        *points = points.saturating_add(link.points);
    }
    let (users, points): (Vec<Uuid>, Vec<i64>) = sums.into_iter().unzip();
    let count = users.len();
    let updated: Vec<(Uuid, String, bool, bool)> = sqlx::query_as(
        "UPDATE users SET score = score + points, updated_at = now()
         FROM unnest($1::uuid[], $2::bigint[]) AS sums (user_id, points) WHERE users.id = user_id
         RETURNING id, username, banned_at IS NOT NULL, quarantined_at IS NOT NULL",
    )
    .bind(users)
    .bind(points)
    .fetch_all(transaction)
    .await?;
    if updated.len() != count {
        return Err(sqlx::Error::Decode("a user of the batch was deleted meanwhile".into()));
    }
    let users = updated.into_iter().map(|(id, username, is_banned, is_quarantined)| {
        (id, EntryUser { username, is_banned, is_quarantined })
    });
    Ok(users.collect())
}

/// Appends entries to the chain, each with its marks. The caller saves the head.
pub async fn append(
    transaction: &mut PgConnection,
    head: &mut Head,
    rows: &[(Link<'_>, Marks)],
) -> Result<(), sqlx::Error> {
    let positions: Vec<(i64, Hash)> = rows.iter().map(|(link, _)| head.append(link)).collect();
    sqlx::query(
        "INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before,
                                    score_after, hlc_us, created_at, held, voided_by, note, shard, seq, hash)
         SELECT event_id, user_id, action_type, points, token_hash, before, after, hlc_us, created_at, held, voided_by, note::jsonb, $15,
                seq, hash
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::timestamptz[], $10::boolean[], $11::uuid[], $12::text[], $13::bigint[], $14::bytea[])
              AS it (event_id, user_id, action_type, points, token_hash, before, after, hlc_us, created_at, held, voided_by, note, seq,
                     hash)",
    )
    .bind(rows.iter().map(|(it, _)| it.event_id).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(it, _)| it.action).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.points).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.token_hash).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(it, _)| it.before).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.after).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(it, _)| it.hlc_us).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(link, _)| PgTime::from_us(link.created_us)).collect::<Vec<PgTime>>())
    .bind(rows.iter().map(|(_, marks)| marks.held).collect::<Vec<bool>>())
    .bind(rows.iter().map(|(_, marks)| marks.voided_by).collect::<Vec<Option<Uuid>>>())
    .bind(rows.iter().map(|(link, _)| unless_empty(link.note)).collect::<Vec<Option<&str>>>())
    .bind(positions.iter().map(|(seq, _)| *seq).collect::<Vec<i64>>())
    .bind(positions.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<&[u8]>>())
    .bind(SHARD)
    .execute(transaction)
    .await
    .map(drop)
}
