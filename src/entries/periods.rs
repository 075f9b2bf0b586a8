//! The periods of boards, as Postgres has them. Their rules do not change while they are open, whatever the boards' file says by now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::Entries;
use crate::board::{Definition, Period, Rules};
use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::{Fault, Refusal, Result};

/// How old the list of open periods may be.
const LIST_AGE: Duration = Duration::from_secs(1);

/// A period of a board.
#[derive(Clone, Debug)]
pub struct BoardPeriod {
    /// Id of the board.
    pub board: String,
    /// Id of the period.
    pub id: String,
    /// Its first instant, in µs since the Unix epoch.
    pub starts_us: i64,
    /// The instant after its last one; `i64::MAX` if it never ends.
    pub ends_us: i64,
    /// When it is closed, in µs; `i64::MAX` if it never ends.
    pub closes_us: i64,
    /// The admin who holds its close back.
    pub held_by: Option<String>,
    /// How awards become its entries.
    pub rules: Rules,
    /// It is read from Postgres, and not from Redis any more.
    pub is_closed: bool,
    /// Its entries were not deleted yet.
    pub has_entries: bool,
}

impl FromRow<'_, PgRow> for BoardPeriod {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(rules) = row.try_get("rules")?;
        Ok(Self {
            board: row.try_get("board")?,
            id: row.try_get("period")?,
            starts_us: row.try_get("starts_us")?,
            ends_us: row.try_get("ends_us")?,
            closes_us: row.try_get("closes_us")?,
            held_by: row.try_get("held_by")?,
            rules,
            is_closed: row.try_get("is_closed")?,
            has_entries: row.try_get("has_entries")?,
        })
    }
}

/// The columns of a `BoardPeriod`.
pub const COLUMNS: &str = "board, period, starts_us, ends_us, closes_us, held_by, rules, closed_at IS NOT NULL AS is_closed, has_entries";

/// The open periods of all boards, as they were a second ago or later. Older if Postgres is unavailable.
#[derive(Default)]
pub struct OpenPeriods(Mutex<OpenList>);

#[derive(Default)]
struct OpenList {
    read_at: Option<Instant>,
    periods: Arc<Vec<BoardPeriod>>,
}

impl BoardPeriod {
    /// A period that no leader has begun yet.
    pub(super) fn not_begun(board: &Definition, period: Period) -> Self {
        Self {
            board: board.id.clone(),
            starts_us: period.starts_us(),
            ends_us: period.ends_us(),
            closes_us: board.closes_us(&period),
            id: period.id,
            held_by: None,
            rules: board.rules.clone(),
            is_closed: false,
            has_entries: true,
        }
    }

    /// `open`, `settling` or `closed` at an instant.
    pub fn state(&self, now_us: i64) -> &'static str {
        match self.is_closed {
            true => "closed",
            false if self.ends_us <= now_us => "settling",
            false => "open",
        }
    }
}

impl Entries {
    /// The period with this id, or the current one.
    pub(super) async fn period(&self, board: &Definition, id: Option<&str>) -> Result<BoardPeriod> {
        self.period_at(board, id, self.now()).await
    }

    /// The period with this id, or the one that contains an instant.
    pub(super) async fn period_at(
        &self,
        board: &Definition,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<BoardPeriod> {
        let now_us = now.as_microsecond();
        let open = self.open_periods().await;
        let is_wanted = |period: &&BoardPeriod| match id {
            Some(id) => period.id == id,
            None => (period.starts_us..period.ends_us).contains(&now_us),
        };
        let found = open.iter().filter(|period| period.board == board.id).find(is_wanted);
        if let Some(period) = found {
            return Ok(period.clone());
        }
        let current = board.schedule.containing(now);
        let current = current.filter(|current| id.is_none_or(|id| current.id == id));
        let known = match id {
            Some(id) => match self.find_period(&board.id, id).await {
                // A current period needs no Postgres.
                Err(fault) if current.is_none() => return Err(fault.into()),
                found => found.ok().flatten(),
            },
            None => None,
        };
        let not_begun = || current.map(|current| BoardPeriod::not_begun(board, current));
        known.or_else(not_begun).ok_or_else(|| Refusal::PeriodNotFound.into())
    }

    /// Looks a period up in Postgres.
    pub(super) async fn find_period(&self, board: &str, id: &str) -> Result<Option<BoardPeriod>, Fault> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM board_periods WHERE board = $1 AND period = $2"
        ));
        let query_name = "find_board_period";
        let find = sqlx::query_as(sql).bind(board).bind(id).fetch_optional(&self.database);
        with_timeout(query_name, ANSWER_TIMEOUT, timed(&self.metrics, query_name, find)).await
    }

    async fn open_periods(&self) -> Arc<Vec<BoardPeriod>> {
        {
            let mut list = self.open_periods.0.lock();
            if list.read_at.is_some_and(|at| at.elapsed() < LIST_AGE) {
                return list.periods.clone();
            }
            // Other requests use the older list meanwhile.
            list.read_at = Some(Instant::now());
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM board_periods WHERE closed_at IS NULL"));
        let query_name = "list_open_board_periods";
        let read = sqlx::query_as(sql).fetch_all(&self.database);
        let read = with_timeout(query_name, ANSWER_TIMEOUT, timed(&self.metrics, query_name, read)).await;
        let mut list = self.open_periods.0.lock();
        match read {
            Ok(periods) => list.periods = Arc::new(periods),
            Err(fault) => tracing::debug!(%fault, "open periods not read, using the older list"),
        }
        list.periods.clone()
    }
}
