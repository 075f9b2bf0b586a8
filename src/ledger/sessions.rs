//! `game_sessions` and `action_tokens`, from the same batches as the rest. Each statement gives the same rows in whatever
//! order, and however often, a session's entries come.

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
    let in_sessions: Vec<&Entry> = entries.iter().filter(|it| !it.session.is_empty()).collect();
    if !in_sessions.is_empty() {
        write_sessions(transaction, &in_sessions).await?;
    }
    write_tokens(transaction, entries).await
}

/// One row a session, from all that a batch has of it. Only `started` and `ended` know when it began; until one of them
/// comes, the first token that is known is the best guess, and it is later.
async fn write_sessions(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &[&Entry],
) -> Result<(), sqlx::Error> {
    let ended_at = |it: &&Entry| (it.kind == EntryKind::Ended).then(|| Time::of_ms(it.at_ms));
    sqlx::query(
        "INSERT INTO game_sessions (session_id, user_id, is_active, created_at, expires_at, ended_at, actions_count)
         SELECT session_id, (array_agg(user_id))[1], bool_and(ended_at IS NULL), min(issued_at), max(expires_at), max(ended_at),
                max(actions)
         FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
              AS it (session_id, user_id, issued_at, expires_at, ended_at, actions)
         GROUP BY session_id ORDER BY session_id
         ON CONFLICT (session_id) DO UPDATE
         SET is_active = game_sessions.is_active AND excluded.is_active,
             created_at = least(game_sessions.created_at, excluded.created_at),
             ended_at = coalesce(excluded.ended_at, game_sessions.ended_at),
             actions_count = greatest(game_sessions.actions_count, excluded.actions_count)",
    )
    .bind(entries.iter().map(|it| it.session.as_str()).collect::<Vec<&str>>())
    .bind(entries.iter().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(entries.iter().map(|it| Time::of_ms(it.issued_ms)).collect::<Vec<Time>>())
    .bind(entries.iter().map(|it| Time::of_ms(it.expires_ms)).collect::<Vec<Time>>())
    .bind(entries.iter().map(ended_at).collect::<Vec<Option<Time>>>())
    .bind(entries.iter().map(|it| it.actions).collect::<Vec<i64>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// What one entry says of one token.
struct Token<'a> {
    hash: &'a str,
    /// What it is for; a game's token is for any action until it is redeemed.
    action: &'a str,
    entry: &'a Entry,
    created_ms: i64,
    used_ms: Option<i64>,
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
    let issued = entries.iter().filter(|it| !it.next_hash.is_empty()).map(|it| Token {
        hash: &it.next_hash,
        action: if it.kind == EntryKind::Issued { &it.action } else { "" },
        entry: it,
        created_ms: it.at_ms,
        used_ms: None,
    });
    let used = entries.iter().filter(|it| is_act_token(it)).map(|it| Token {
        hash: &it.token_hash,
        action: &it.action,
        entry: it,
        created_ms: it.issued_ms,
        used_ms: Some(it.at_ms),
    });
    let tokens: Vec<Token> = issued.chain(used).collect();
    if tokens.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO action_tokens (action_token_hash, session_id, action_type, user_id, is_active, created_at, expires_at,
                                    used_at)
         SELECT hash, min(session_id), min(action_type), (array_agg(user_id))[1], bool_and(used_at IS NULL), min(created_at),
                max(expires_at), max(used_at)
         FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[])
              AS it (hash, session_id, user_id, created_at, expires_at, used_at, action_type)
         GROUP BY hash ORDER BY hash
         ON CONFLICT (action_token_hash) DO UPDATE
         SET is_active = action_tokens.is_active AND excluded.is_active,
             used_at = coalesce(action_tokens.used_at, excluded.used_at),
             action_type = coalesce(action_tokens.action_type, excluded.action_type)",
    )
    .bind(tokens.iter().map(|it| it.hash).collect::<Vec<&str>>())
    .bind(tokens.iter().map(|it| unless_empty(&it.entry.session)).collect::<Vec<Option<&str>>>())
    .bind(tokens.iter().map(|it| it.entry.user).collect::<Vec<Uuid>>())
    .bind(tokens.iter().map(|it| Time::of_ms(it.created_ms)).collect::<Vec<Time>>())
    .bind(tokens.iter().map(|it| Time::of_ms(it.entry.expires_ms)).collect::<Vec<Time>>())
    .bind(tokens.iter().map(|it| it.used_ms.map(Time::of_ms)).collect::<Vec<Option<Time>>>())
    .bind(tokens.iter().map(|it| unless_empty(it.action)).collect::<Vec<Option<&str>>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
