//! Users by what an operator knows of them.

use sqlx::Row;
use uuid::Uuid;

use crate::account::UserRef;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{sql_fault, timed};

/// A user who was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The user's number.
    pub number: i64,
    /// The same, by UUID.
    pub id: Uuid,
    /// The name.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// The total, as far as the ledger has come.
    pub score: i64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub aside: bool,
    /// When the user registered, in ms since the Unix epoch.
    pub created_at_ms: i64,
}

const COLUMNS: &str =
    "number, id, username, role, score, banned_at IS NOT NULL AS banned, aside_at IS NOT NULL AND voids_id IS NULL AS aside,
                       (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms";
/// Comes after every character of a name.
const LAST: char = char::MAX;

/// Users whose name begins with a text, without regard to case, or whose number, UUID or e-mail address it is, these first; without
/// a text the newest.
///
/// # Errors
/// Postgres is away.
pub async fn search(app: &App, text: Option<&str>, limit: u32) -> Result<Vec<Found>> {
    let doing = "search for users";
    let fault = |error| sql_fault(doing, error);
    // Postgres' texts have no U+0000, so nothing is called so.
    let text = text.map(|it| it.trim().replace('\0', "\u{fffd}")).filter(|it| !it.is_empty());
    let Some(text) = text else {
        let sql = format!("SELECT {COLUMNS} FROM users ORDER BY number DESC LIMIT $1");
        let asked = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(i64::from(limit)).fetch_all(&app.database);
        let rows = timed(&app.metrics, doing, asked).await;
        return Ok(rows.map_err(fault)?.iter().map(read).collect());
    };
    let (number, id) = match UserRef::parse(&text) {
        Ok(UserRef::Number(number)) => (Some(number), None),
        Ok(UserRef::Id(id)) => (None, Some(id)),
        Ok(UserRef::Name(_)) | Err(_) => (None, None),
    };
    let sql = format!(
        "SELECT * FROM (
             (SELECT {COLUMNS}, 0 AS place FROM users WHERE number = $1)
             UNION ALL (SELECT {COLUMNS}, 0 FROM users WHERE id = $2)
             UNION ALL (SELECT {COLUMNS}, 0 FROM users WHERE lower(email) = lower($3))
             UNION ALL (SELECT {COLUMNS}, 1 FROM users
                        WHERE lower(username) ~>=~ lower($3) AND lower(username) ~<~ (lower($3) || $4)
                              AND number IS DISTINCT FROM $1 AND id IS DISTINCT FROM $2
                        ORDER BY lower(username) USING ~<~ LIMIT $5)) it
         ORDER BY place, lower(username) USING ~<~ LIMIT $5"
    );
    let asked = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(number)
        .bind(id)
        .bind(text)
        .bind(LAST.to_string())
        .bind(i64::from(limit))
        .fetch_all(&app.database);
    let rows = timed(&app.metrics, doing, asked).await;
    Ok(rows.map_err(fault)?.iter().map(read).collect())
}

fn read(row: &sqlx::postgres::PgRow) -> Found {
    Found {
        number: row.get("number"),
        id: row.get("id"),
        username: row.get("username"),
        role: row.get("role"),
        score: row.get("score"),
        banned: row.get("banned"),
        aside: row.get("aside"),
        created_at_ms: row.get("created_at_ms"),
    }
}
