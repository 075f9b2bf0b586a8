//! What the ledger says of each user, in pages.

use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::error::Fault;
use crate::ledger::sql_fault;

/// Users a page.
pub const PAGE: i64 = 2000;

/// One user in the ledger.
pub struct Account {
    /// Who.
    pub user: Uuid,
    /// How many entries there are.
    pub entries: i64,
    /// What they sum to.
    pub ledger: i64,
    score: i64,
    chained: bool,
    held: i64,
    banned: bool,
}

impl Account {
    /// What the board has to show.
    pub fn shown(&self) -> i64 {
        if self.banned { 0 } else { self.ledger - self.held }
    }

    /// What does not agree within Postgres.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.score != self.ledger {
            wrong.push(format!("users.score is {}, the ledger's sum {}", self.score, self.ledger));
        }
        if !self.chained {
            wrong.push("score_before and score_after do not chain".to_owned());
        }
        wrong
    }
}

const ACCOUNTS: &str = "
    SELECT u.id, u.score, coalesce(h.points, 0)::bigint AS ledger, coalesce(h.entries, 0) AS entries,
           coalesce(h.chained, true) AS chained, CASE WHEN u.quarantined_at IS NULL THEN 0 ELSE coalesce(h.held, 0) END::bigint AS held, u.banned_at IS NOT NULL AS banned
    FROM picked u
    LEFT JOIN LATERAL (
        SELECT sum(points_earned) AS points, count(*) AS entries, bool_and(score_before = previous) AS chained,
               sum(points_earned) FILTER (WHERE held) AS held
        FROM (SELECT points_earned, score_before, held, lag(score_after, 1, 0::bigint) OVER (ORDER BY hlc_us) AS previous
              FROM score_history WHERE user_id = u.id) it
    ) h ON true
    ORDER BY u.id";

/// The users after one, in the order of their ids.
pub async fn page(database: &PgPool, after: Uuid) -> Result<Vec<Account>, Fault> {
    let picked = "WITH picked AS (SELECT id, score, banned_at, quarantined_at FROM users WHERE id > $1 ORDER BY id LIMIT $2)";
    let sql = sqlx::AssertSqlSafe(format!("{picked}{ACCOUNTS}"));
    read(sqlx::query(sql).bind(after).bind(PAGE).fetch_all(database).await)
}

/// These users.
pub async fn these(database: &PgPool, users: &[Uuid]) -> Result<Vec<Account>, Fault> {
    let picked = "WITH picked AS (SELECT id, score, banned_at, quarantined_at FROM users WHERE id = ANY($1))";
    let sql = sqlx::AssertSqlSafe(format!("{picked}{ACCOUNTS}"));
    read(sqlx::query(sql).bind(users).fetch_all(database).await)
}

fn read(rows: Result<Vec<sqlx::postgres::PgRow>, sqlx::Error>) -> Result<Vec<Account>, Fault> {
    let rows = rows.map_err(|error| sql_fault("read the ledger's totals", error))?;
    Ok(rows
        .iter()
        .map(|row| Account {
            user: row.get("id"),
            score: row.get("score"),
            ledger: row.get("ledger"),
            entries: row.get("entries"),
            chained: row.get("chained"),
            held: row.get("held"),
            banned: row.get("banned"),
        })
        .collect())
}
