//! The walk along the chain: every entry is hashed again, so what was changed, taken out or put in is found, and named.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::{Difference, Found, Verified};
use crate::error::Fault;
use crate::ledger::chain::{BEGINNING, Hash, SHARD};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::entry::{COLUMNS, link};
use crate::ledger::sql_fault;
use crate::receipt::ReceiptVerifier;

/// Entries a page.
const PAGE: i64 = 5000;
/// Entries with the same place that are told apart; there should be one.
const TWINS: usize = 16;
const READ: &str = "read the ledger's chain";

/// Where the walk is: the last place, and what may be its hash. They are several if entries share a place.
struct Standpoint {
    seq: i64,
    hashes: Vec<Hash>,
    /// Those of the place before.
    before: Vec<Hash>,
    event_id: Uuid,
}

impl Standpoint {
    /// Before the first entry; after the last that was detached.
    fn new(begins: Option<&Checkpoint>) -> Self {
        let (seq, hash) = begins.map_or((0, None), |it| (it.seq, it.hash()));
        Self { seq, hashes: vec![hash.unwrap_or(BEGINNING)], before: Vec::new(), event_id: Uuid::max() }
    }
}

/// Walks the chain up to the head as it is when the walk begins.
pub async fn walk(
    database: &PgPool,
    keys: &ReceiptVerifier,
    progress: &(dyn Fn(u64) + Sync),
    found: &mut Found<'_>,
) -> Result<Verified, Fault> {
    let (head_seq, head_hash) = head(database).await?;
    let (mut checkpoints, begins) = Checkpoints::begin(database, keys, found).await?;
    let mut at = Standpoint::new(begins.as_ref());
    let start = at.seq;
    let mut verified = Verified::default();
    loop {
        let (rows, after) = (page(database, &at, head_seq).await?, at.seq);
        for row in &rows {
            step(&mut at, row, found)?;
        }
        let last_page = rows.len() < PAGE as usize;
        let to = if last_page { head_seq } else { at.seq };
        checkpoints.compare(database, after, to, &rows, found).await?;
        attempts(database, &rows, found).await?;
        verified.entries += rows.len() as u64;
        progress(verified.entries);
        if last_page {
            break;
        }
    }
    if at.seq < head_seq {
        found(entries(at.seq + 1, head_seq, "missing: the head says that the chain goes on to there"));
    } else if !at.hashes.iter().any(|it| it.as_slice() == head_hash) {
        found(Difference { of: "the head".into(), what: format!("has not the hash of entry {head_seq}") });
    }
    checkpoints.end(database, head_seq, found).await?;
    if Checkpoints::begin(database, keys, &mut |_| ()).await?.1 != begins {
        return Err(Fault::retryable(READ, "older parts were detached meanwhile: look again"));
    }
    verified.unchained = strays(database, start, found).await?;
    Ok(verified)
}

/// Holds one entry against the one before it.
fn step(at: &mut Standpoint, row: &PgRow, found: &mut Found<'_>) -> Result<(), Fault> {
    let link = link(row).map_err(|error| sql_fault(READ, error))?;
    let (seq, event_id): (i64, Uuid) = (row.get("seq"), link.event_id);
    let twin = seq == at.seq;
    if twin {
        let other = at.event_id;
        found(entry(seq, event_id, &format!("has the place of event {other} too: one of them was put in")));
    } else {
        if seq > at.seq + 1 {
            found(entries(at.seq + 1, seq - 1, "missing"));
        }
        at.before = std::mem::take(&mut at.hashes);
        // What follows a gap has nothing to be held against.
        if seq > at.seq + 1 {
            at.before.clear();
        }
        (at.seq, at.event_id) = (seq, event_id);
    }
    let stored = row.get::<Option<Vec<u8>>, _>("hash").and_then(|it| Hash::try_from(it).ok());
    let right: Vec<Hash> = at.before.iter().map(|it| link.hash(seq, it)).collect();
    let fits = stored.is_some_and(|it| right.contains(&it));
    if !fits && !right.is_empty() {
        let what =
            format!("was changed, or entry {} with its hash was: it does not hash to what it says", seq - 1);
        found(entry(seq, event_id, &what));
    }
    if at.hashes.len() < TWINS {
        // Go on from what is there, so that one change is told once.
        at.hashes.extend(stored.or(right.first().copied()));
    }
    Ok(())
}

/// An award comes of a token: its attempt is written with it, and has the token's hash. What operators did has no token.
async fn attempts(database: &PgPool, rows: &[PgRow], found: &mut Found<'_>) -> Result<(), Fault> {
    let awards: Vec<&PgRow> =
        rows.iter().filter(|it| !it.get::<&str, _>("action_token_hash").is_empty()).collect();
    let without: Vec<Uuid> = sqlx::query_scalar(
        "SELECT it.id FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS it (id, user_id, hash)
         WHERE NOT EXISTS (SELECT FROM user_action WHERE user_action.id = it.id AND user_action.user_id = it.user_id
                                                     AND user_action.token_hash = it.hash)",
    )
    .bind(awards.iter().map(|it| it.get("event_id")).collect::<Vec<Uuid>>())
    .bind(awards.iter().map(|it| it.get("user_id")).collect::<Vec<Uuid>>())
    .bind(awards.iter().map(|it| it.get("action_token_hash")).collect::<Vec<&str>>())
    .fetch_all(database)
    .await
    .map_err(|error| sql_fault("read the attempts behind awards", error))?;
    for row in awards.iter().filter(|it| without.contains(&it.get("event_id"))) {
        found(entry(
            row.get("seq"),
            row.get("event_id"),
            "has no attempt with its token: no token was spent for it",
        ));
    }
    Ok(())
}

async fn head(database: &PgPool) -> Result<(i64, Vec<u8>), Fault> {
    sqlx::query_as("SELECT seq, hash FROM ledger_heads WHERE shard = $1")
        .bind(SHARD)
        .fetch_one(database)
        .await
        .map_err(|error| sql_fault(READ, error))
}

async fn page(database: &PgPool, at: &Standpoint, head_seq: i64) -> Result<Vec<PgRow>, Fault> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT seq, hash, {COLUMNS} FROM score_history
         WHERE shard = $1 AND (seq, event_id) > ($2, $3) AND seq <= $4
         ORDER BY seq, event_id LIMIT $5"
    )));
    let rows = rows.bind(SHARD).bind(at.seq).bind(at.event_id).bind(head_seq).bind(PAGE);
    rows.fetch_all(database).await.map_err(|error| sql_fault(READ, error))
}

/// Entries that are not on the way from the start to the head. Returns how many wait to be chained.
async fn strays(database: &PgPool, start: i64, found: &mut Found<'_>) -> Result<u64, Fault> {
    let mut rows = sqlx::query(
        "SELECT it.event_id, it.seq, it.shard, head.seq AS last,
                it.seq IS NULL AND NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'score_history'::regclass)
                    AS waits
         FROM score_history it, ledger_heads head
         WHERE head.shard = $1 AND (it.shard <> $1 OR it.seq IS NULL OR it.seq > head.seq OR it.seq <= $2)",
    )
    .bind(SHARD)
    .bind(start)
    .fetch(database);
    let mut waiting = 0;
    while let Some(row) = rows.try_next().await.map_err(|error| sql_fault(READ, error))? {
        if row.get("waits") {
            waiting += 1;
            continue;
        }
        let (shard, seq): (i16, Option<i64>) = (row.get("shard"), row.get("seq"));
        let what = match seq {
            _ if shard != SHARD => format!("was put in: shard {shard} has no chain"),
            None => "was put in: it has no place in the chain".to_owned(),
            Some(seq) => format!(
                "was put in as entry {seq}: the chain goes from {} to {}",
                start + 1,
                row.get::<i64, _>("last")
            ),
        };
        found(Difference { of: format!("event {}", row.get::<Uuid, _>("event_id")), what });
    }
    Ok(waiting)
}

fn entry(seq: i64, event_id: Uuid, what: &str) -> Difference {
    Difference { of: format!("entry {seq} (event {event_id})"), what: what.to_owned() }
}

fn entries(first: i64, last: i64, what: &str) -> Difference {
    let of = if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") };
    Difference { of, what: what.to_owned() }
}
