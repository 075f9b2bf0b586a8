//! User search.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::account::UserRef;
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;

/// A user in a search result.
#[derive(Clone, Debug)]
pub struct UserSummary {
    /// Public number.
    pub number: i64,
    /// UUID.
    pub id: Uuid,
    /// Username.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// Total according to the ledger.
    pub score: i64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
    /// Registration time in ms since the Unix epoch.
    pub created_at_ms: i64,
}

/// A page of search results.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// Number of matches on all pages.
    pub total: i64,
    /// At most `limit`.
    pub users: Vec<UserSummary>,
    /// Start of the next page: the number of this page's last user. None at the end.
    pub next: Option<i64>,
}

const COLUMNS: &str =
    "number, id, username, role, score, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AND voids_id IS NULL AS quarantined,
     (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms";

/// `$1` to `$4`: number, UUID, text, and the LIKE pattern of the text.
const MATCHES: &str =
    "(number = $1 OR id = $2 OR lower(email) = lower($3) OR lower(username) LIKE lower($4))";

/// Users with their rank in the result: exact matches, names that start with the text, the others.
const RANKED: &str = "users CROSS JOIN LATERAL (
    SELECT CASE WHEN number = $1 OR id = $2 OR lower(email) = lower($3) OR lower(username) = lower($3) THEN 0
                WHEN starts_with(lower(username), lower($3)) THEN 1
                ELSE 2 END AS rank,
           lower(username) COLLATE \"C\" AS name) it";

/// Users whose name contains the text, ignoring case, or whose number, UUID or e-mail address equals it. Exact matches come first, then
/// names that start with the text. Without a text, the newest users. `after` is the `next` of the previous page.
///
/// # Errors
/// Postgres is unavailable.
pub async fn search(admin: &Admin, text: Option<&str>, after: Option<i64>, limit: u32) -> Result<SearchPage> {
    // Postgres rejects U+0000 in texts, so no user matches it.
    let text = text.map(|text| text.trim().replace('\0', "\u{fffd}")).filter(|text| !text.is_empty());
    let rows = i64::from(limit) + 1;
    let (total, page) = match text {
        None => {
            let page = format!(
                "SELECT {COLUMNS} FROM users WHERE $1::bigint IS NULL OR number < $1 ORDER BY number DESC LIMIT $2"
            );
            let total = sqlx::query_scalar("SELECT count(*) FROM users");
            (total, sqlx::query(AssertSqlSafe(page)).bind(after).bind(rows))
        }
        Some(text) => {
            let (number, id) = match UserRef::parse(&text) {
                Ok(UserRef::Number(number)) => (Some(number), None),
                Ok(UserRef::Id(id)) => (None, Some(id)),
                Ok(UserRef::Name(_)) | Err(_) => (None, None),
            };
            let pattern = format!("%{}%", escaped(&text));
            let total = format!("SELECT count(*) FROM users WHERE {MATCHES}");
            let page = format!(
                "SELECT {COLUMNS} FROM {RANKED} WHERE {MATCHES}
                     AND ($5::bigint IS NULL OR (rank, name) > (SELECT rank, name FROM {RANKED} WHERE number = $5))
                 ORDER BY rank, name LIMIT $6"
            );
            let total = sqlx::query_scalar(AssertSqlSafe(total));
            let page = sqlx::query(AssertSqlSafe(page));
            (
                total.bind(number).bind(id).bind(text.clone()).bind(pattern.clone()),
                page.bind(number).bind(id).bind(text).bind(pattern).bind(after).bind(rows),
            )
        }
    };
    // Not as prepared statements: the best plan depends on the text.
    let (total, page) = (total.persistent(false), page.persistent(false));
    let query_name = "search_users";
    let (total, rows) = tokio::try_join!(
        timed(&admin.metrics, query_name, total.fetch_one(&admin.database)),
        timed(&admin.metrics, query_name, page.fetch_all(&admin.database)),
    )
    .map_err(|error| sql_fault(query_name, error))?;
    let users: Vec<UserSummary> = rows.iter().take(limit as usize).map(read).collect();
    let next = users.last().filter(|_| rows.len() > users.len()).map(|it| it.number);
    Ok(SearchPage { total, users, next })
}

/// Escapes the wildcards of LIKE.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

fn read(row: &PgRow) -> UserSummary {
    UserSummary {
        number: row.get("number"),
        id: row.get("id"),
        username: row.get("username"),
        role: row.get("role"),
        score: row.get("score"),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        created_at_ms: row.get("created_at_ms"),
    }
}
