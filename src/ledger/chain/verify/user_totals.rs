//! Users' totals according to the ledger, in pages.

use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::db::sql_fault;
use crate::error::Fault;

/// Users per page.
pub const PAGE: i64 = 2000;

/// One user in the ledger.
pub struct UserTotals {
    pub user: Uuid,
    /// Number of entries.
    pub entries: i64,
    /// Sum of the entries.
    pub ledger: i64,
    score: i64,
    is_consistent: bool,
    held: i64,
    is_banned: bool,
}

impl UserTotals {
    /// The score that the board has to show.
    pub fn shown(&self) -> i64 {
        if self.is_banned { 0 } else { self.ledger - self.held }
    }

    /// Inconsistencies within Postgres.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.score != self.ledger {
            problems.push(format!("users.score is {}, the ledger's sum {}", self.score, self.ledger));
        }
        if !self.is_consistent {
            problems.push("score_before does not match the previous score_after".to_owned());
        }
        problems
    }
}

const TOTALS: &str = "
    SELECT u.id, u.score, coalesce(h.points, 0)::bigint AS ledger, coalesce(h.entries, 0) AS entries,
           coalesce(h.is_consistent, true) AS is_consistent, u.banned_at IS NOT NULL AS is_banned,
           CASE WHEN u.quarantined_at IS NULL THEN 0 ELSE coalesce(h.held, 0) END::bigint AS held
    FROM selected u
    LEFT JOIN LATERAL (
        SELECT sum(points_earned) AS points, count(*) AS entries, bool_and(score_before = previous) AS is_consistent,
               sum(points_earned) FILTER (WHERE held) AS held
        FROM (SELECT points_earned, score_before, held, lag(score_after, 1, 0::bigint) OVER (ORDER BY hlc_us) AS previous
              FROM score_history WHERE user_id = u.id) it
    ) h ON true
    ORDER BY u.id";

/// The users after `after`, by id.
pub async fn totals_page(database: &PgPool, after: Uuid) -> Result<Vec<UserTotals>, Fault> {
    let selected = "WITH selected AS (SELECT id, score, banned_at, quarantined_at FROM users WHERE id > $1 ORDER BY id LIMIT $2)";
    let sql = sqlx::AssertSqlSafe(format!("{selected}{TOTALS}"));
    read(sqlx::query(sql).bind(after).bind(PAGE).fetch_all(database).await)
}

/// These users.
pub async fn totals_of(database: &PgPool, users: &[Uuid]) -> Result<Vec<UserTotals>, Fault> {
    let selected =
        "WITH selected AS (SELECT id, score, banned_at, quarantined_at FROM users WHERE id = ANY($1))";
    let sql = sqlx::AssertSqlSafe(format!("{selected}{TOTALS}"));
    read(sqlx::query(sql).bind(users).fetch_all(database).await)
}

fn read(rows: Result<Vec<sqlx::postgres::PgRow>, sqlx::Error>) -> Result<Vec<UserTotals>, Fault> {
    let rows = rows.map_err(|error| sql_fault("read_ledger_scores", error))?;
    Ok(rows
        .iter()
        .map(|row| UserTotals {
            user: row.get("id"),
            score: row.get("score"),
            ledger: row.get("ledger"),
            entries: row.get("entries"),
            is_consistent: row.get("is_consistent"),
            held: row.get("held"),
            is_banned: row.get("is_banned"),
        })
        .collect())
}
