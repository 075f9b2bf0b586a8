//! `game_sessions`, from the same batches as the rest. The statement gives the same rows in whatever order, and however often, a
//! session's entries come. What a batch has of one session is put together here, in the order of their ids: to sort and group texts
//! costs Postgres as much as to write the rows.

use std::collections::BTreeMap;

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::time::Time;
use crate::store::{Entry, EntryKind};

/// The token that a session goes on with: which of its tokens it is, its hash, and when it went out.
#[derive(Clone, Copy)]
struct Next<'a> {
    number: i64,
    hash: &'a str,
    at_ms: i64,
}

/// What a batch says of one session.
struct Session<'a> {
    user: Uuid,
    issued_ms: i64,
    expires_ms: i64,
    ended_ms: Option<i64>,
    actions: i64,
    next: Option<Next<'a>>,
}

impl<'a> Session<'a> {
    fn of(entry: &'a Entry) -> Self {
        // A proven token goes out within a session too, but that does not go on with it.
        let goes_on =
            matches!(entry.kind, EntryKind::Started | EntryKind::Awarded) && !entry.next_hash.is_empty();
        let next = Next { number: entry.actions, hash: &entry.next_hash, at_ms: entry.at_ms };
        Self {
            user: entry.user,
            issued_ms: entry.issued_ms,
            expires_ms: entry.expires_ms,
            ended_ms: (entry.kind == EntryKind::Ended).then_some(entry.at_ms),
            actions: entry.actions,
            next: goes_on.then_some(next),
        }
    }

    fn add(&mut self, other: Self) {
        self.issued_ms = self.issued_ms.min(other.issued_ms);
        self.expires_ms = self.expires_ms.max(other.expires_ms);
        self.ended_ms = self.ended_ms.max(other.ended_ms);
        self.actions = self.actions.max(other.actions);
        self.next = [self.next, other.next].into_iter().flatten().max_by_key(|it| it.number);
    }
}

/// Writes what a batch says of sessions, one row each. Only `started` and `ended` know when it began; until one of them comes, the
/// first token that is known is the best guess, and it is later.
pub async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut sessions: BTreeMap<&str, Session> = BTreeMap::new();
    for entry in entries.iter().filter(|it| !it.session.is_empty()) {
        sessions
            .entry(&entry.session)
            .and_modify(|it| it.add(Session::of(entry)))
            .or_insert_with(|| Session::of(entry));
    }
    if sessions.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO game_sessions AS known (session_id, user_id, is_active, created_at, expires_at, ended_at, actions_count,
                                             next_hash, next_at, next_number)
         SELECT session_id, user_id, ended_at IS NULL, issued_at, expires_at, ended_at, actions, next_hash, next_at, next_number
         FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::text[],
                     $8::timestamptz[], $9::bigint[])
              AS it (session_id, user_id, issued_at, expires_at, ended_at, actions, next_hash, next_at, next_number)
         ON CONFLICT (session_id) DO UPDATE
         SET is_active = known.is_active AND excluded.is_active,
             created_at = least(known.created_at, excluded.created_at),
             ended_at = coalesce(excluded.ended_at, known.ended_at),
             actions_count = greatest(known.actions_count, excluded.actions_count),
             next_hash = CASE WHEN excluded.next_number > coalesce(known.next_number, -1) THEN excluded.next_hash ELSE known.next_hash END,
             next_at = CASE WHEN excluded.next_number > coalesce(known.next_number, -1) THEN excluded.next_at ELSE known.next_at END,
             next_number = greatest(known.next_number, excluded.next_number)",
    )
    .bind(sessions.keys().copied().collect::<Vec<&str>>())
    .bind(sessions.values().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(sessions.values().map(|it| Time::of_ms(it.issued_ms)).collect::<Vec<Time>>())
    .bind(sessions.values().map(|it| Time::of_ms(it.expires_ms)).collect::<Vec<Time>>())
    .bind(sessions.values().map(|it| it.ended_ms.map(Time::of_ms)).collect::<Vec<Option<Time>>>())
    .bind(sessions.values().map(|it| it.actions).collect::<Vec<i64>>())
    .bind(sessions.values().map(|it| Some(it.next?.hash)).collect::<Vec<Option<&str>>>())
    .bind(sessions.values().map(|it| Some(Time::of_ms(it.next?.at_ms))).collect::<Vec<Option<Time>>>())
    .bind(sessions.values().map(|it| Some(it.next?.number)).collect::<Vec<Option<i64>>>())
    .execute(&mut **transaction)
    .await
    .map(drop)
}
