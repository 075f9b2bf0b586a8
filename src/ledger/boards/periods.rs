//! The open periods of the boards, as Postgres has them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, Row};

use super::counting::Span;
use crate::board::{Definition, GLOBAL, Period, Rules};
use crate::db::{ANSWER_TIMEOUT, sql_fault, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::store::PeriodKey;

/// A period that is not closed.
#[derive(Clone, Debug)]
pub struct OpenPeriod {
    /// Id of the board.
    pub board: String,
    /// Id of the period.
    pub id: String,
    /// Awards with a clock from here on belong to it…
    pub starts_us: i64,
    /// … up to here, exclusive.
    pub ends_us: i64,
    /// Those before this do not count.
    counts_from_us: i64,
    /// It is closed from here on, by Redis' clock. `i64::MAX` while an operator holds it.
    pub closes_us: i64,
    /// How awards become its entries.
    pub rules: Rules,
}

impl OpenPeriod {
    /// Where it is in Redis.
    pub fn key(&self) -> PeriodKey<'_> {
        PeriodKey { board: &self.board, period: &self.id }
    }

    /// The awards that count, up to an entry of the chain.
    pub fn span(&self, to_seq: i64) -> Span<'_> {
        Span { from_us: self.counts_from_us, until_us: self.ends_us, to_seq, users: None }
    }
}

/// Periods of a board that are begun per call. More that were missed are begun by the next calls.
const MAX_BEGUN: usize = 100;

/// Begins the current period of every board that has none, after those that were missed because no leader ran. Returns all that are not
/// closed.
pub async fn begin_current(
    connection: &mut PgConnection,
    boards: &[Arc<Definition>],
    now: Timestamp,
) -> Result<Vec<OpenPeriod>, sqlx::Error> {
    let open = list_open(connection, boards).await?;
    let now_us = now.as_microsecond();
    let is_known = |board: &&Arc<Definition>| {
        open.iter().any(|it| it.board == board.id && (it.starts_us..it.ends_us).contains(&now_us))
    };
    let missing: Vec<&Arc<Definition>> = boards.iter().filter(|board| !is_known(board)).collect();
    if missing.is_empty() {
        return Ok(open);
    }
    let ids: Vec<&str> = missing.iter().map(|board| board.id.as_str()).collect();
    let begins = read_begins(connection, &ids, now_us).await?;
    let mut is_changed = false;
    for board in missing {
        let Some(begin) = begins.get(&board.id) else { continue };
        let after = Timestamp::from_microsecond(begin.last_end_us.unwrap_or(begin.since_us));
        let first = after.ok().and_then(|after| board.schedule.at_or_after(after));
        let periods = std::iter::successors(first, |period| board.schedule.next(period));
        let begun = periods.take_while(|period| period.starts_at.is_none_or(|start| start <= now));
        for period in begun.take(MAX_BEGUN) {
            is_changed |= begin_period(connection, board, &period, begin.since_us).await?;
        }
    }
    if is_changed { list_open(connection, boards).await } else { Ok(open) }
}

/// What decides which period of a board is next.
struct Begin {
    /// When the board was defined.
    since_us: i64,
    /// The end of its newest period.
    last_end_us: Option<i64>,
}

/// Reads when boards were defined, which is now if nobody has seen them before.
async fn read_begins(
    connection: &mut PgConnection,
    ids: &[&str],
    now_us: i64,
) -> Result<HashMap<String, Begin>, sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO boards (id, since_us) SELECT id, $2 FROM unnest($1::text[]) AS id WHERE id <> $3 ON CONFLICT DO NOTHING",
    );
    insert.bind(ids).bind(now_us).bind(GLOBAL).execute(&mut *connection).await?;
    let rows = sqlx::query(
        "SELECT ids.id, coalesce(since_us, $2) AS since_us, (SELECT max(ends_us) FROM board_periods WHERE board = ids.id) AS last_end_us
         FROM unnest($1::text[]) AS ids (id) LEFT JOIN boards ON boards.id = ids.id",
    );
    let rows = rows.bind(ids).bind(now_us).fetch_all(connection).await?;
    let begin = |row: &PgRow| {
        let begin = Begin { since_us: row.try_get("since_us")?, last_end_us: row.try_get("last_end_us")? };
        Ok((row.try_get("id")?, begin))
    };
    rows.iter().map(begin).collect()
}

/// Whether a period is closed.
pub async fn is_closed(connection: impl PgExecutor<'_>, period: &OpenPeriod) -> Result<bool, sqlx::Error> {
    let closed = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM board_periods WHERE board = $1 AND period = $2 AND closed_at IS NOT NULL)",
    );
    closed.bind(&period.board).bind(&period.id).fetch_one(connection).await
}

/// Returns false if another leader has begun it, or if it was closed already.
async fn begin_period(
    connection: &mut PgConnection,
    board: &Definition,
    period: &Period,
    since_us: i64,
) -> Result<bool, sqlx::Error> {
    // The previous period may have followed another schedule: then this one begins at its end.
    let insert = sqlx::query(
        "INSERT INTO board_periods (board, period, starts_us, ends_us, closes_us, rules, counts_from_us)
         SELECT $1, $2, greatest($3, max(ends_us)), $4, $5, $6, greatest($3, max(ends_us), $7) FROM board_periods WHERE board = $1
         HAVING coalesce(max(ends_us), $3) < $4 ON CONFLICT DO NOTHING",
    );
    let ends_us = period.ends_us();
    let insert = insert.bind(&board.id).bind(&period.id).bind(period.starts_us()).bind(ends_us);
    let closes_us = board.closes_us(period);
    let counts_from_us = if board.backfill { i64::MIN } else { since_us };
    let insert = insert.bind(closes_us).bind(Json(&board.rules)).bind(counts_from_us);
    Ok(insert.execute(connection).await?.rows_affected() > 0)
}

/// Reads the periods that are not closed.
///
/// # Errors
/// Postgres is unavailable.
pub async fn read_open(ledger: &Ledger) -> Result<Vec<OpenPeriod>, Fault> {
    let query_name = "read_open_periods";
    let mut connection = ledger.database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
    with_timeout(query_name, ANSWER_TIMEOUT, list_open(&mut connection, &ledger.boards.all())).await
}

/// The periods that are not closed.
pub async fn list_open(
    connection: &mut PgConnection,
    boards: &[Arc<Definition>],
) -> Result<Vec<OpenPeriod>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT board, period, starts_us, ends_us, counts_from_us, rules, CASE WHEN held_by IS NULL THEN closes_us ELSE $2 END AS closes_us
         FROM board_periods WHERE closed_at IS NULL AND board = ANY($1) ORDER BY starts_us, board",
    );
    let ids: Vec<&str> = boards.iter().map(|board| board.id.as_str()).collect();
    let rows = rows.bind(ids).bind(i64::MAX).fetch_all(connection).await?;
    let period = |row: &PgRow| {
        let Json(rules) = row.try_get("rules")?;
        Ok(OpenPeriod {
            board: row.try_get("board")?,
            id: row.try_get("period")?,
            starts_us: row.try_get("starts_us")?,
            ends_us: row.try_get("ends_us")?,
            counts_from_us: row.try_get("counts_from_us")?,
            closes_us: row.try_get("closes_us")?,
            rules,
        })
    };
    rows.iter().map(period).collect()
}
