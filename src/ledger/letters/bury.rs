//! An entry becomes a dead letter: a row, and only then it leaves the outbox.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Reason;
use crate::app::App;
use crate::error::Fault;
use crate::ledger::database::{HANGS_AFTER, in_time, timed};
use crate::ledger::leader::LeaderLock;
use crate::store::{Entry, Store, Unread};

/// Of what Postgres says.
const MAX_DETAIL_CHARS: usize = 500;

struct Letter<'a> {
    shard: usize,
    stream_id: &'a str,
    raw: &'a [u8],
    entry: Option<&'a Entry>,
    reason: Reason,
    detail: &'a str,
}

/// Puts an entry aside that cannot be written. After too many in a row it stays in the outbox.
///
/// # Errors
/// A store is away: the entry stays in the outbox.
pub async fn bury(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    entry: &Entry,
    reason: Reason,
    detail: &str,
) -> Result<(), Fault> {
    let (stream_id, shard) = (entry.stream_id.as_str(), entry.shard);
    if !app.failures.note(reason, entry.user.to_string()) {
        return left(stream_id, detail);
    }
    // Only what cannot be written costs a second look: entries are not carried about as they lay there.
    let Some(raw) = store.raw_entry(entry).await? else { return Ok(()) };
    let letter = Letter { shard, stream_id, raw: &raw, entry: Some(entry), reason, detail };
    insert(app, leader.connection(), &letter).await?;
    store.settle(std::slice::from_ref(entry)).await.map(drop)
}

/// The same of an entry that cannot be read.
///
/// # Errors
/// A store is away: the entry stays in the outbox.
pub async fn bury_unread(
    app: &App,
    store: &Store,
    leader: &mut LeaderLock,
    unread: &Unread,
) -> Result<(), Fault> {
    let (stream_id, shard, reason) = (unread.stream_id.as_str(), unread.shard, Reason::Unreadable);
    let detail = "it has not the shape of an entry";
    if !app.failures.note(reason, format!("{shard} {stream_id}")) {
        return left(stream_id, detail);
    }
    insert(
        app,
        leader.connection(),
        &Letter { shard, stream_id, raw: &unread.raw, entry: None, reason, detail },
    )
    .await?;
    store.settle_unread(unread).await.map(drop)
}

fn left(stream_id: &str, detail: &str) -> Result<(), Fault> {
    tracing::error!(
        stream_id,
        detail,
        runbook = "LaurelLedgerBehind",
        "nothing can be written to the ledger, entries stay in the outbox"
    );
    Ok(())
}

async fn insert(app: &App, connection: &mut PgConnection, letter: &Letter<'_>) -> Result<(), Fault> {
    let (doing, entry) = ("write a dead letter", letter.entry);
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
    .bind(entry.map(|it| it.kind.as_str()))
    .bind(entry.filter(|it| it.award.is_some()).map(|it| it.points))
    .bind(letter.reason.as_str())
    .bind(&detail);
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, insert.execute(connection))).await?;
    let (stream_id, reason) = (letter.stream_id, letter.reason.as_str());
    tracing::error!(
        stream_id,
        reason,
        detail,
        ?event_id,
        runbook = "LaurelDeadLetters",
        "an entry cannot be written to the ledger, moved to dead_letters"
    );
    Ok(())
}
