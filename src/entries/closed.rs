//! Reads of closed periods, from Postgres. Each read sees one revision.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::periods::BoardPeriod;
use super::{Entries, Wanted};
use crate::board::Order;
use crate::db::{begin, sql_fault};
use crate::error::{Refusal, Result};
use crate::store::{EntriesPage, Place, PlacedEntry, Ranked};

/// The columns of `placed_entry`.
pub(super) const COLUMNS: &str = "position, rank, user_id, username, score, subscore, achieved_us";

/// The entries of one board in a closed period.
struct ClosedEntries<'a> {
    period: &'a BoardPeriod,
    /// The value of the tag; empty: the board of all values.
    split: &'a str,
    connection: &'a mut PgConnection,
}

impl Entries {
    /// Reads a closed period.
    pub(super) async fn read_closed(
        &self,
        period: &BoardPeriod,
        split: Option<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<EntriesPage> {
        if !period.has_entries {
            return Err(Refusal::PeriodNotFound.into());
        }
        let query_name = "read_closed_period";
        let call = self.metrics.postgres(query_name);
        let read = async {
            let mut transaction =
                begin(&self.database, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let split = split.unwrap_or_default();
            ClosedEntries { period, split, connection: &mut transaction }.read(wanted).await
        };
        let page = read.await.map_err(|error| sql_fault(query_name, error));
        if page.is_ok() {
            call.answered();
        }
        Ok(page?)
    }
}

impl ClosedEntries<'_> {
    async fn read(mut self, wanted: &Wanted<'_>) -> Result<EntriesPage, sqlx::Error> {
        let (total, version) = self.newest_revision().await?;
        let (first, count) = match wanted.limit {
            0 => (0, 0),
            limit => self.window(&wanted.place, limit as i64, total).await?,
        };
        let top = if count > 0 { first.min(wanted.top as i64) } else { 0 };
        Ok(EntriesPage {
            now_ms: 0,
            as_of_ms: self.period.ends_us / 1000,
            version,
            seq: None,
            total: total as u64,
            top: self.range(0, top).await?,
            window: self.range(first, count).await?,
            users: self.of_users(wanted.users).await?,
        })
    }

    /// The number of entries, and the time of the newest revision in µs as the version; zeros if the board never had an entry.
    async fn newest_revision(&mut self) -> Result<(i64, i64), sqlx::Error> {
        let newest = sqlx::query_as(
            "SELECT entries, (extract(epoch FROM at) * 1000000)::bigint FROM board_revisions
             WHERE board = $1 AND period = $2 AND split = $3 ORDER BY revision DESC LIMIT 1",
        );
        let newest = newest.bind(&self.period.board).bind(&self.period.id).bind(self.split);
        Ok(newest.fetch_optional(&mut *self.connection).await?.unwrap_or_default())
    }

    /// The window's first position from 0, and how many entries it has at most.
    async fn window(&mut self, place: &Place, limit: i64, total: i64) -> Result<(i64, i64), sqlx::Error> {
        Ok(match *place {
            Place::At(position) => (position as i64, limit),
            Place::Around(user) => match self.of_users(&[user]).await?.first() {
                None => (0, 0),
                Some(own) => {
                    let own = own.position as i64 - 1;
                    ((own - (limit - 1) / 2).min(total - limit).max(0), limit)
                }
            },
            Place::After(result, user) => (self.count_to(result, user).await?.1, limit),
            Place::Before(result, user) => {
                let better = self.count_to(result, user).await?.0;
                let first = (better - limit).max(0);
                (first, better - first)
            }
        })
    }

    /// The number of entries that are better than one, without and with it. It may be gone: a revision removed it, or the cursor is from
    /// before the close.
    async fn count_to(&mut self, result: Ranked, user: Uuid) -> Result<(i64, i64), sqlx::Error> {
        if let Some(own) = self.of_users(&[user]).await?.first().filter(|own| own.result == result) {
            return Ok((own.position as i64 - 1, own.position as i64));
        }
        let better = match self.period.rules.order {
            Order::Desc => {
                "(score, coalesce(subscore, -1), -achieved_us, user_id) > ($4, coalesce($5, -1), -$6, $7)"
            }
            Order::Asc => {
                "(-score, -coalesce(subscore, 9223372036854775807), -achieved_us, user_id)
                 > (-$4, -coalesce($5, 9223372036854775807), -$6, $7)"
            }
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT count(*) FROM board_entries WHERE board = $1 AND period = $2 AND split = $3 AND {better}"
        ));
        let count = sqlx::query_scalar(sql).bind(&self.period.board).bind(&self.period.id).bind(self.split);
        let count = count.bind(result.score).bind(result.subscore).bind(result.hlc_us).bind(user);
        let better: i64 = count.fetch_one(&mut *self.connection).await?;
        Ok((better, better))
    }

    async fn range(&mut self, first: i64, count: i64) -> Result<Vec<PlacedEntry>, sqlx::Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM board_entries
             WHERE board = $1 AND period = $2 AND split = $3 AND position > $4 AND position <= $4 + $5 ORDER BY position"
        ));
        let range = sqlx::query(sql).bind(&self.period.board).bind(&self.period.id).bind(self.split);
        let rows = range.bind(first).bind(count).fetch_all(&mut *self.connection).await?;
        rows.iter().map(placed_entry).collect()
    }

    async fn of_users(&mut self, users: &[Uuid]) -> Result<Vec<PlacedEntry>, sqlx::Error> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM board_entries
             WHERE board = $1 AND period = $2 AND split = $3 AND user_id = ANY($4)"
        ));
        let entries = sqlx::query(sql).bind(&self.period.board).bind(&self.period.id).bind(self.split);
        let rows = entries.bind(users).fetch_all(&mut *self.connection).await?;
        rows.iter().map(placed_entry).collect()
    }
}

/// Reads an entry.
pub(super) fn placed_entry(row: &PgRow) -> Result<PlacedEntry, sqlx::Error> {
    let result = Ranked {
        score: row.try_get("score")?,
        subscore: row.try_get("subscore")?,
        hlc_us: row.try_get("achieved_us")?,
    };
    let (position, rank): (i64, i64) = (row.try_get("position")?, row.try_get("rank")?);
    Ok(PlacedEntry {
        user: row.try_get("user_id")?,
        username: row.try_get("username")?,
        result,
        position: position as u64,
        rank: rank as u64,
        attempts: None,
    })
}
