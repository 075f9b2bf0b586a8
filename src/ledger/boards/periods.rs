//! The open periods of the boards, as Postgres has them.

use jiff::Timestamp;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, Row};

use crate::board::{Boards, Definition, Period, Rules};
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
}

/// Periods of a board that are begun per call. More that were missed are begun by the next calls.
const MAX_BEGUN: usize = 100;

/// Begins the current period of every board that has none, after those that were missed because no leader ran. Returns all that are not
/// closed.
pub async fn begin_current(
    connection: &mut PgConnection,
    boards: &Boards,
    now: Timestamp,
) -> Result<Vec<OpenPeriod>, sqlx::Error> {
    let mut open = list_open(connection, boards).await?;
    let is_known = |open: &[OpenPeriod], board: &Definition| {
        let now_us = now.as_microsecond();
        open.iter().any(|it| it.board == board.id && (it.starts_us..it.ends_us).contains(&now_us))
    };
    let mut is_changed = false;
    for board in boards.all().iter().filter(|board| !is_known(&open, board)) {
        let last = sqlx::query_scalar("SELECT max(ends_us) FROM board_periods WHERE board = $1");
        let last_end_us: Option<i64> = last.bind(&board.id).fetch_one(&mut *connection).await?;
        let last_end = last_end_us.and_then(|end_us| Timestamp::from_microsecond(end_us).ok());
        let first = last_end.and_then(|end| board.schedule.containing(end));
        let first = first.or_else(|| board.schedule.containing(now));
        let periods = std::iter::successors(first, |period| board.schedule.next(period));
        let begun = periods.take_while(|period| period.starts_at.is_none_or(|start| start <= now));
        for period in begun.take(MAX_BEGUN) {
            is_changed |= begin(connection, board, &period).await?;
        }
    }
    if is_changed {
        open = list_open(connection, boards).await?;
    }
    Ok(open)
}

/// Whether a period is closed.
pub async fn is_closed(connection: impl PgExecutor<'_>, period: &OpenPeriod) -> Result<bool, sqlx::Error> {
    let closed = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM board_periods WHERE board = $1 AND period = $2 AND closed_at IS NOT NULL)",
    );
    closed.bind(&period.board).bind(&period.id).fetch_one(connection).await
}

/// Returns false if another leader has begun it, or if it was closed already.
async fn begin(
    connection: &mut PgConnection,
    board: &Definition,
    period: &Period,
) -> Result<bool, sqlx::Error> {
    // The previous period may have followed another schedule: then this one begins at its end.
    let insert = sqlx::query(
        "INSERT INTO board_periods (board, period, starts_us, ends_us, closes_us, rules)
         SELECT $1, $2, greatest($3, max(ends_us)), $4, $5, $6 FROM board_periods WHERE board = $1
         HAVING coalesce(max(ends_us), $3) < $4 ON CONFLICT DO NOTHING",
    );
    let ends_us = period.ends_us();
    let insert = insert.bind(&board.id).bind(&period.id).bind(period.starts_us()).bind(ends_us);
    let closes_us = ends_us.saturating_add(board.settle.micros());
    Ok(insert.bind(closes_us).bind(Json(&board.rules)).execute(connection).await?.rows_affected() > 0)
}

/// The periods that are not closed.
pub async fn list_open(
    connection: &mut PgConnection,
    boards: &Boards,
) -> Result<Vec<OpenPeriod>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT board, period, starts_us, ends_us, rules, CASE WHEN held_by IS NULL THEN closes_us ELSE $2 END AS closes_us
         FROM board_periods WHERE closed_at IS NULL AND board = ANY($1) ORDER BY starts_us, board",
    );
    let ids: Vec<&str> = boards.all().iter().map(|board| board.id.as_str()).collect();
    let rows = rows.bind(ids).bind(i64::MAX).fetch_all(connection).await?;
    let period = |row: &sqlx::postgres::PgRow| {
        let Json(rules) = row.try_get("rules")?;
        Ok(OpenPeriod {
            board: row.try_get("board")?,
            id: row.try_get("period")?,
            starts_us: row.try_get("starts_us")?,
            ends_us: row.try_get("ends_us")?,
            closes_us: row.try_get("closes_us")?,
            rules,
        })
    };
    rows.iter().map(period).collect()
}
