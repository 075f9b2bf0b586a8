//! `game_sessions` and `action_tokens`, from the same batches as the rest. Each statement gives the same rows in whatever
//! order, and however often, a session's entries come. What a batch has of one session, or of one token, is put together here, in the
//! order of their keys: to sort and group texts costs Postgres as much as to write the rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::time::Time;
use super::write::unless_empty;
use crate::store::{Entry, EntryKind};

/// Writes what a batch says of sessions and their tokens.
pub async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    write_sessions(transaction, entries).await?;
    write_tokens(transaction, entries).await
}

/// What a batch says of one session.
struct Session {
    user: Uuid,
    issued_ms: i64,
    expires_ms: i64,
    ended_ms: Option<i64>,
    actions: i64,
}

impl Session {
    fn of(entry: &Entry) -> Self {
        Self {
            user: entry.user,
            issued_ms: entry.issued_ms,
            expires_ms: entry.expires_ms,
            ended_ms: (entry.kind == EntryKind::Ended).then_some(entry.at_ms),
            actions: entry.actions,
        }
    }

    fn add(&mut self, other: Self) {
        self.issued_ms = self.issued_ms.min(other.issued_ms);
        self.expires_ms = self.expires_ms.max(other.expires_ms);
        self.ended_ms = self.ended_ms.max(other.ended_ms);
        self.actions = self.actions.max(other.actions);
    }
}

/// One row a session. Only `started` and `ended` know when it began; until one of them comes, the first token that is known is the
/// best guess, and it is later.
async fn write_sessions(
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
        "INSERT INTO game_sessions (session_id, user_id, is_active, created_at, expires_at, ended_at, actions_count)
         SELECT session_id, user_id, ended_at IS NULL, issued_at, expires_at, ended_at, actions
         FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
              AS it (session_id, user_id, issued_at, expires_at, ended_at, actions)
         ON CONFLICT (session_id) DO UPDATE
         SET is_active = game_sessions.is_active AND excluded.is_active,
             created_at = least(game_sessions.created_at, excluded.created_at),
             ended_at = coalesce(excluded.ended_at, game_sessions.ended_at),
             actions_count = greatest(game_sessions.actions_count, excluded.actions_count)",
    )
    .bind(sessions.keys().copied().collect::<Vec<&str>>())
    .bind(sessions.values().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(sessions.values().map(|it| Time::of_ms(it.issued_ms)).collect::<Vec<Time>>())
    .bind(sessions.values().map(|it| Time::of_ms(it.expires_ms)).collect::<Vec<Time>>())
    .bind(sessions.values().map(|it| it.ended_ms.map(Time::of_ms)).collect::<Vec<Option<Time>>>())
    .bind(sessions.values().map(|it| it.actions).collect::<Vec<i64>>())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// What a batch says of one token.
struct Token<'a> {
    session: &'a str,
    /// What it is for; a game's token is for any action until it is redeemed.
    action: &'a str,
    user: Uuid,
    created_ms: i64,
    expires_ms: i64,
    used_ms: Option<i64>,
}

impl<'a> Token<'a> {
    /// The one that went out with an entry.
    fn issued(entry: &'a Entry) -> Self {
        let action = if entry.kind == EntryKind::Issued { &entry.action } else { "" };
        Self { action, created_ms: entry.at_ms, used_ms: None, ..Self::used(entry) }
    }

    /// The one that an entry redeemed.
    fn used(entry: &'a Entry) -> Self {
        Self {
            session: &entry.session,
            action: &entry.action,
            user: entry.user,
            created_ms: entry.issued_ms,
            expires_ms: entry.expires_ms,
            used_ms: Some(entry.at_ms),
        }
    }

    fn add(&mut self, other: Self) {
        let first = |one: &'a str, other: &'a str| if one.is_empty() { other } else { one };
        self.session = first(self.session, other.session);
        self.action = first(self.action, other.action);
        self.created_ms = self.created_ms.min(other.created_ms);
        self.expires_ms = self.expires_ms.max(other.expires_ms);
        self.used_ms = self.used_ms.max(other.used_ms);
    }
}

/// An `act_` token that was redeemed: a game's by its session; a proven one by the id that is made from its hash. An anti-spam
/// token's id is a UUID v7.
fn is_act_token(entry: &Entry) -> bool {
    !entry.token_hash.is_empty() && entry.id.get_version_num() == 8
}

async fn write_tokens(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut tokens: BTreeMap<&str, Token> = BTreeMap::new();
    let issued = entries.iter().filter(|it| !it.next_hash.is_empty());
    let issued = issued.map(|it| (it.next_hash.as_str(), Token::issued(it)));
    let used = entries.iter().filter(|it| is_act_token(it));
    let used = used.map(|it| (it.token_hash.as_str(), Token::used(it)));
    for (hash, token) in issued.chain(used) {
        match tokens.entry(hash) {
            Slot::Vacant(slot) => drop(slot.insert(token)),
            Slot::Occupied(mut known) => known.get_mut().add(token),
        }
    }
    if tokens.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO action_tokens (action_token_hash, session_id, action_type, user_id, is_active, created_at, expires_at,
                                    used_at)
         SELECT hash, session_id, action_type, user_id, used_at IS NULL, created_at, expires_at, used_at
         FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[])
              AS it (hash, session_id, user_id, created_at, expires_at, used_at, action_type)
         ON CONFLICT (action_token_hash) DO UPDATE
         SET is_active = action_tokens.is_active AND excluded.is_active,
             used_at = coalesce(action_tokens.used_at, excluded.used_at),
             action_type = coalesce(action_tokens.action_type, excluded.action_type)",
    )
    .bind(tokens.keys().copied().collect::<Vec<&str>>())
    .bind(tokens.values().map(|it| unless_empty(it.session)).collect::<Vec<Option<&str>>>())
    .bind(tokens.values().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(tokens.values().map(|it| Time::of_ms(it.created_ms)).collect::<Vec<Time>>())
    .bind(tokens.values().map(|it| Time::of_ms(it.expires_ms)).collect::<Vec<Time>>())
    .bind(tokens.values().map(|it| it.used_ms.map(Time::of_ms)).collect::<Vec<Option<Time>>>())
    .bind(tokens.values().map(|it| unless_empty(it.action)).collect::<Vec<Option<&str>>>())
    .execute(&mut **transaction)
    .await
    .map(drop)
}
