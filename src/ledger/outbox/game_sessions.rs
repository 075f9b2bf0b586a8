//! Writes `game_sessions`. The statement leads to the same rows in whatever order, and however often, a session's entries arrive. The
//! entries of one session are merged here: sorting and grouping text costs Postgres as much as writing the rows.

use std::collections::BTreeMap;

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::ledger::pg_time::PgTime;
use crate::store::{Entry, EntryKind};

/// The session's current token.
#[derive(Clone, Copy)]
struct NextToken<'a> {
    /// Sequence number within the session.
    number: i64,
    hash: &'a str,
    at_ms: i64,
}

/// A batch's entries of one session.
struct Session<'a> {
    user: Uuid,
    issued_ms: i64,
    expires_ms: i64,
    ended_ms: Option<i64>,
    actions: i64,
    next: Option<NextToken<'a>>,
}

impl<'a> Session<'a> {
    fn from_entry(entry: &'a Entry) -> Self {
        // A verified token may be issued within a session too, but it is not the session's next token.
        let has_next =
            matches!(entry.kind, EntryKind::Started | EntryKind::Awarded) && !entry.next_hash.is_empty();
        let next = NextToken { number: entry.actions, hash: &entry.next_hash, at_ms: entry.at_ms };
        Self {
            user: entry.user,
            issued_ms: entry.issued_ms,
            expires_ms: entry.expires_ms,
            ended_ms: (entry.kind == EntryKind::Ended).then_some(entry.at_ms),
            actions: entry.actions,
            next: has_next.then_some(next),
        }
    }

    fn merge(&mut self, other: Self) {
        self.issued_ms = self.issued_ms.min(other.issued_ms);
        self.expires_ms = self.expires_ms.max(other.expires_ms);
        self.ended_ms = self.ended_ms.max(other.ended_ms);
        self.actions = self.actions.max(other.actions);
        self.next = [self.next, other.next].into_iter().flatten().max_by_key(|it| it.number);
    }
}

/// Writes one row per session of the batch. Only `started` and `ended` entries carry the session's start. Until one of them arrives, the
/// row has the issue time of the first known token, which is later.
pub async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut sessions: BTreeMap<&str, Session> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.session.is_empty()) {
        sessions
            .entry(&entry.session)
            .and_modify(|session| session.merge(Session::from_entry(entry)))
            .or_insert_with(|| Session::from_entry(entry));
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
    .bind(sessions.values().map(|session| PgTime::from_ms(session.issued_ms)).collect::<Vec<PgTime>>())
    .bind(sessions.values().map(|session| PgTime::from_ms(session.expires_ms)).collect::<Vec<PgTime>>())
    .bind(sessions.values().map(|session| session.ended_ms.map(PgTime::from_ms)).collect::<Vec<Option<PgTime>>>())
    .bind(sessions.values().map(|it| it.actions).collect::<Vec<i64>>())
    .bind(sessions.values().map(|session| Some(session.next?.hash)).collect::<Vec<Option<&str>>>())
    .bind(sessions.values().map(|session| Some(PgTime::from_ms(session.next?.at_ms))).collect::<Vec<Option<PgTime>>>())
    .bind(sessions.values().map(|session| Some(session.next?.number)).collect::<Vec<Option<i64>>>())
    .execute(&mut **transaction)
    .await
    .map(drop)
}
