//! The periods of a board, and the revisions of closed ones.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::Entries;
use super::periods::{BoardPeriod, COLUMNS};
use crate::board::Definition;
use crate::cursor;
use crate::db::{ANSWER_TIMEOUT, sql_fault, timed, with_timeout};
use crate::error::{Refusal, Result};

/// What the entries of a closed period were after the close or a later change.
#[derive(Clone, Debug)]
pub struct Revision {
    /// 1 for the close.
    pub revision: i32,
    /// SHA-256 over all entries.
    pub root: Vec<u8>,
    /// Number of entries.
    pub entries: i64,
    /// A compact JWS over the root by a receipt key.
    pub signature: String,
    /// Who caused it, as in the audit log.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, in ms since the Unix epoch.
    pub at_ms: i64,
}

impl FromRow<'_, PgRow> for Revision {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            revision: row.try_get("revision")?,
            root: row.try_get("root")?,
            entries: row.try_get("entries")?,
            signature: row.try_get("signature")?,
            actor: row.try_get("actor")?,
            reason: row.try_get("reason")?,
            at_ms: row.try_get("at_ms")?,
        })
    }
}

const REVISION_COLUMNS: &str =
    "revision, root, entries, signature, actor, reason, (extract(epoch FROM at) * 1000)::bigint AS at_ms";

/// A period of a board and what became of it.
#[derive(Clone, Debug)]
pub struct PastPeriod {
    /// The period.
    pub period: BoardPeriod,
    /// `open`, `settling` or `closed`.
    pub state: &'static str,
    /// The revisions, newest first. A list of periods has the newest one only. None before the close, and none if a tag's value never had an
    /// entry.
    pub revisions: Vec<Revision>,
}

/// A page of periods.
#[derive(Clone, Debug)]
pub struct PeriodPage {
    /// Newest first.
    pub periods: Vec<PastPeriod>,
    /// Cursor of the next page. None at the end.
    pub next: Option<String>,
}

impl Entries {
    /// The periods of a board after a cursor, or the newest ones. `address` is the board's id, or `id@value`.
    ///
    /// # Errors
    /// The cursor is not of this board's periods; Postgres is unavailable.
    pub async fn periods(
        &self,
        board: &Definition,
        address: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<PeriodPage> {
        let context = format!("periods:{}", board.id);
        let before_us = match after {
            Some(text) => {
                let position = self.cursors.open(&context, text)?;
                i64::from_be_bytes(position.try_into().map_err(|_| cursor::invalid())?)
            }
            None => i64::MAX,
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS}, newest.* FROM board_periods LEFT JOIN LATERAL (
                 SELECT {REVISION_COLUMNS} FROM board_revisions AS it
                 WHERE it.board = board_periods.board AND it.period = board_periods.period AND it.split = $2
                 ORDER BY revision DESC LIMIT 1) AS newest ON closed_at IS NOT NULL
             WHERE board = $1 AND starts_us < $3 ORDER BY starts_us DESC LIMIT $4"
        ));
        let query_name = "list_board_periods";
        let list = sqlx::query(sql).bind(&board.id).bind(split(address)).bind(before_us);
        let list = list.bind(i64::from(limit) + 1).fetch_all(&self.database);
        let rows = with_timeout(query_name, ANSWER_TIMEOUT, timed(&self.metrics, query_name, list)).await?;
        let now_us = self.now().as_microsecond();
        let read = |row: &PgRow| {
            let newest = match row.try_get::<Option<i32>, _>("revision")? {
                Some(_) => Some(Revision::from_row(row)?),
                None => None,
            };
            let period = BoardPeriod::from_row(row)?;
            Ok(PastPeriod { state: period.state(now_us), period, revisions: newest.into_iter().collect() })
        };
        let periods = rows.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>();
        let mut periods = periods.map_err(|error| sql_fault(query_name, error))?;
        // No leader has begun the current period yet.
        if after.is_none() && periods.first().is_none_or(|newest| newest.period.ends_us <= now_us) {
            let current = board.schedule.containing(self.now());
            if let Some(period) = current.map(|current| BoardPeriod::not_begun(board, current)) {
                periods.insert(0, PastPeriod { state: "open", period, revisions: Vec::new() });
            }
        }
        let has_more = periods.len() > limit as usize;
        periods.truncate(limit as usize);
        let last = periods.last().filter(|_| has_more);
        let next = last.map(|last| self.cursors.seal(&context, &last.period.starts_us.to_be_bytes()));
        Ok(PeriodPage { periods, next })
    }

    /// One period with all its revisions.
    ///
    /// # Errors
    /// There is no such period; Postgres is unavailable.
    pub async fn one_period(&self, board: &Definition, address: &str, id: &str) -> Result<PastPeriod> {
        // Not from the list of open periods, which may be a second old.
        let period = match self.find_period(&board.id, id).await? {
            Some(period) => period,
            None => {
                let current = board.schedule.containing(self.now()).filter(|current| current.id == id);
                BoardPeriod::not_begun(board, current.ok_or(Refusal::PeriodNotFound)?)
            }
        };
        let state = period.state(self.now().as_microsecond());
        if !period.is_closed {
            return Ok(PastPeriod { state, period, revisions: Vec::new() });
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {REVISION_COLUMNS} FROM board_revisions
             WHERE board = $1 AND period = $2 AND split = $3 ORDER BY revision DESC"
        ));
        let query_name = "list_board_revisions";
        let revisions = sqlx::query_as(sql).bind(&board.id).bind(id).bind(split(address));
        let revisions = timed(&self.metrics, query_name, revisions.fetch_all(&self.database));
        let revisions = with_timeout(query_name, ANSWER_TIMEOUT, revisions).await?;
        Ok(PastPeriod { state, period, revisions })
    }
}

/// The value of the tag in an address; empty: the board of all values.
fn split(address: &str) -> &str {
    address.split_once('@').map_or("", |(_, value)| value)
}
