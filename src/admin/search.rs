//! Users by what an operator knows of them.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
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
    pub quarantined: bool,
    /// When the user registered, in ms since the Unix epoch.
    pub created_at_ms: i64,
}

/// A page of the users who were found.
#[derive(Clone, Debug)]
pub struct FoundPage {
    /// How many there are on all pages.
    pub total: i64,
    /// At most as many as were asked for.
    pub users: Vec<Found>,
    /// Where the next page begins: the number of this page's last user; none at the end.
    pub next: Option<i64>,
}

const COLUMNS: &str =
    "number, id, username, role, score, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AND voids_id IS NULL AS quarantined,
     (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms";

/// `$1` to `$4` are a number, a UUID, the text, and a pattern that finds the text in a name.
const MATCHES: &str =
    "(number = $1 OR id = $2 OR lower(email) = lower($3) OR lower(username) LIKE lower($4))";

/// Users with their place in the order of a search: who is meant exactly, whose name begins with the text, the others.
const PLACED: &str = "users CROSS JOIN LATERAL (
    SELECT CASE WHEN number = $1 OR id = $2 OR lower(email) = lower($3) OR lower(username) = lower($3) THEN 0
                WHEN starts_with(lower(username), lower($3)) THEN 1
                ELSE 2 END AS place,
           lower(username) COLLATE \"C\" AS name) it";

/// Users whose name has a text in it, without regard to case, or whose number, UUID or e-mail address it is; without a text the
/// newest. Whom the text means exactly is first, then whose name begins with it. `after` is the `next` of the page before.
///
/// # Errors
/// Postgres is away.
pub async fn search(app: &App, text: Option<&str>, after: Option<i64>, limit: u32) -> Result<FoundPage> {
    // Postgres' texts have no U+0000, so nothing is called so.
    let text = text.map(|it| it.trim().replace('\0', "\u{fffd}")).filter(|it| !it.is_empty());
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
                "SELECT {COLUMNS} FROM {PLACED} WHERE {MATCHES}
                     AND ($5::bigint IS NULL OR (place, name) > (SELECT place, name FROM {PLACED} WHERE number = $5))
                 ORDER BY place, name LIMIT $6"
            );
            let total = sqlx::query_scalar(AssertSqlSafe(total));
            let page = sqlx::query(AssertSqlSafe(page));
            (
                total.bind(number).bind(id).bind(text.clone()).bind(pattern.clone()),
                page.bind(number).bind(id).bind(text).bind(pattern).bind(after).bind(rows),
            )
        }
    };
    // Not as prepared statements: which plan is best depends on the text.
    let (total, page) = (total.persistent(false), page.persistent(false));
    let doing = "search for users";
    let (total, rows) = tokio::try_join!(
        timed(&app.metrics, doing, total.fetch_one(&app.database)),
        timed(&app.metrics, doing, page.fetch_all(&app.database)),
    )
    .map_err(|error| sql_fault(doing, error))?;
    let users: Vec<Found> = rows.iter().take(limit as usize).map(read).collect();
    let next = users.last().filter(|_| rows.len() > users.len()).map(|it| it.number);
    Ok(FoundPage { total, users, next })
}

/// A text in which nothing stands for anything else in a pattern of LIKE.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

fn read(row: &PgRow) -> Found {
    Found {
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
