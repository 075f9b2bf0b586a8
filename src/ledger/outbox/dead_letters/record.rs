//! Moves an entry from the outbox to `dead_letters`: the row is committed before the entry leaves the outbox.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Reason;
use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::leader::LeaderLock;
use crate::store::{Entry, Store, UnreadableEntry};

/// Postgres' error message is cut to this length.
const MAX_DETAIL_CHARS: usize = 500;

struct NewDeadLetter<'a> {
    shard: usize,
    stream_id: &'a str,
    raw: &'a [u8],
    entry: Option<&'a Entry>,
    reason: Reason,
    detail: &'a str,
}

/// Records an entry that cannot be written. After too many failures in a row it stays in the outbox.
///
/// # Errors
/// A store is unavailable: the entry stays in the outbox.
pub async fn record(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    entry: &Entry,
    reason: Reason,
    detail: &str,
) -> Result<(), Fault> {
    let (stream_id, shard) = (entry.stream_id.as_str(), entry.shard);
    if !ledger.failures.record(reason, entry.user.to_string()) {
        log_kept(stream_id, detail);
        return Ok(());
    }
    // Parsed entries do not carry their raw form, so it is read again for the few that fail.
    let Some(raw) = store.raw_entry(entry).await? else { return Ok(()) };
    let letter = NewDeadLetter { shard, stream_id, raw: &raw, entry: Some(entry), reason, detail };
    insert(ledger, leader.connection(), &letter).await?;
    store.ack(std::slice::from_ref(entry)).await.map(drop)
}

/// Records an entry that cannot be parsed.
///
/// # Errors
/// A store is unavailable: the entry stays in the outbox.
pub async fn record_unread(
    ledger: &Ledger,
    store: &Store,
    leader: &mut LeaderLock,
    unread: &UnreadableEntry,
) -> Result<(), Fault> {
    let (stream_id, shard, reason) = (unread.stream_id.as_str(), unread.shard, Reason::Unreadable);
    let detail = "not a valid outbox entry";
    if !ledger.failures.record(reason, format!("{shard} {stream_id}")) {
        log_kept(stream_id, detail);
        return Ok(());
    }
    let letter = NewDeadLetter { shard, stream_id, raw: &unread.raw, entry: None, reason, detail };
    insert(ledger, leader.connection(), &letter).await?;
    store.ack_unreadable(unread).await.map(drop)
}

fn log_kept(stream_id: &str, detail: &str) {
    tracing::error!(
        stream_id,
        detail,
        runbook = "LaurelLedgerLagging",
        "ledger writes fail for too many players in a row, entries stay in the outbox"
    );
}

async fn insert(
    ledger: &Ledger,
    connection: &mut PgConnection,
    letter: &NewDeadLetter<'_>,
) -> Result<(), Fault> {
    let (query_name, entry) = ("write_dead_letter", letter.entry);
    let detail: String = letter.detail.chars().take(MAX_DETAIL_CHARS).collect();
    let event_id: Option<Uuid> = entry.map(|it| it.id);
    let insert = sqlx::query(
        "INSERT INTO dead_letters (shard, stream_id, entry, event_id, user_id, kind, points, reason, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (shard, stream_id, md5(entry)) DO NOTHING",
    )
    .bind(letter.shard as i32)
    .bind(letter.stream_id)
    .bind(letter.raw)
    .bind(event_id)
    .bind(entry.map(|it| it.user))
    .bind(entry.map(|entry| entry.kind.as_str()))
    .bind(entry.filter(|entry| entry.award.is_some()).map(|it| it.points))
    .bind(letter.reason.as_str())
    .bind(&detail);
    with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, insert.execute(connection)))
        .await?;
    let (stream_id, reason) = (letter.stream_id, letter.reason.as_str());
    let event_id = event_id.map(|id| id.to_string());
    tracing::error!(
        stream_id,
        reason,
        detail,
        event_id,
        runbook = "LaurelDeadLetters",
        "outbox entry cannot be written to the ledger, moved to dead_letters"
    );
    Ok(())
}
