//! Redis against the ledger, in bounded memory, while nodes serve. What differs only because the outbox has not been
//! written yet is looked at again until it has.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::sql_fault;
use crate::app::App;
use crate::error::Fault;
use crate::store::Total;

/// Users a page.
const PAGE: i64 = 2000;
/// How long a difference may be a matter of the outbox.
const SETTLING: Duration = Duration::from_secs(30);

/// One thing that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub user: String,
    /// What, with both sides.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Users compared.
    pub users: u64,
    /// Ledger entries summed.
    pub entries: u64,
    /// Everything that does not agree.
    pub differences: Vec<Difference>,
}

struct Account {
    user: Uuid,
    score: i64,
    ledger: i64,
    entries: i64,
    chained: bool,
    held: i64,
    banned: bool,
}

impl Account {
    /// What the board has to show.
    fn shown(&self) -> i64 {
        if self.banned { 0 } else { self.ledger - self.held }
    }
}

/// Compares every user's total in both places of Redis, in `users` and in the ledger, checks that the ledger chains, and
/// that the board has nobody else.
///
/// # Errors
/// A store is away.
pub async fn verify(app: &App) -> Result<Verified, Fault> {
    let mut verified = Verified::default();
    let mut suspects = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let accounts = page(&app.database, after).await?;
        let Some(last) = accounts.last() else { break };
        after = last.user;
        verified.users += accounts.len() as u64;
        verified.entries += accounts.iter().map(|it| it.entries as u64).sum::<u64>();
        let totals = app.store.totals(&accounts.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
        suspects.extend(
            accounts
                .iter()
                .zip(totals)
                .filter(|(it, total)| compare(it, *total).is_some())
                .map(|(it, _)| it.user),
        );
    }
    verified.differences = settle(app, suspects).await?;
    verified.differences.extend(strangers(app).await?);
    Ok(verified)
}

/// Looks at suspects again until they agree or time is up.
async fn settle(app: &App, mut suspects: Vec<Uuid>) -> Result<Vec<Difference>, Fault> {
    let started = Instant::now();
    loop {
        let mut found = Vec::new();
        for some in suspects.chunks(PAGE as usize) {
            let accounts = these(&app.database, some).await?;
            let totals = app.store.totals(&accounts.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
            let differing =
                accounts.iter().zip(totals).filter_map(|(it, total)| Some((it.user, compare(it, total)?)));
            found.extend(differing);
        }
        let idle = app.store.glance().await?.outbox == 0;
        if found.is_empty()
            || (idle && started.elapsed() > Duration::from_secs(1))
            || started.elapsed() > SETTLING
        {
            return Ok(found
                .into_iter()
                .map(|(user, what)| Difference { user: user.to_string(), what })
                .collect());
        }
        suspects = found.into_iter().map(|(user, _)| user).collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn compare(account: &Account, total: Total) -> Option<String> {
    let some = |points: i64| (points > 0).then_some(points as u64);
    let mut wrong = Vec::new();
    if account.score != account.ledger {
        wrong.push(format!("users.score is {}, the ledger's sum {}", account.score, account.ledger));
    }
    if total.board != some(account.shown()) {
        wrong.push(format!("the board has {:?}, the ledger shows {}", total.board, account.shown()));
    }
    if total.own != some(account.ledger) {
        wrong.push(format!("user:score has {:?}, the ledger's sum is {}", total.own, account.ledger));
    }
    if !account.chained {
        wrong.push("score_before and score_after do not chain".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

const ACCOUNTS: &str = "
    SELECT u.id, u.score, coalesce(h.points, 0)::bigint AS ledger, coalesce(h.entries, 0) AS entries,
           coalesce(h.chained, true) AS chained, CASE WHEN u.aside_at IS NULL THEN 0 ELSE coalesce(h.held, 0) END::bigint AS held, u.banned_at IS NOT NULL AS banned
    FROM picked u
    LEFT JOIN LATERAL (
        SELECT sum(points_earned) AS points, count(*) AS entries, bool_and(score_before = previous) AS chained,
               sum(points_earned) FILTER (WHERE held) AS held
        FROM (SELECT points_earned, score_before, held, lag(score_after, 1, 0::bigint) OVER (ORDER BY moment) AS previous
              FROM score_history WHERE user_id = u.id) it
    ) h ON true
    ORDER BY u.id";

async fn page(database: &PgPool, after: Uuid) -> Result<Vec<Account>, Fault> {
    let picked = "WITH picked AS (SELECT id, score, banned_at, aside_at FROM users WHERE id > $1 ORDER BY id LIMIT $2)";
    let sql = sqlx::AssertSqlSafe(format!("{picked}{ACCOUNTS}"));
    read(sqlx::query(sql).bind(after).bind(PAGE).fetch_all(database).await)
}

async fn these(database: &PgPool, users: &[Uuid]) -> Result<Vec<Account>, Fault> {
    let picked = "WITH picked AS (SELECT id, score, banned_at, aside_at FROM users WHERE id = ANY($1))";
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

/// Members of the board that are no users.
async fn strangers(app: &App) -> Result<Vec<Difference>, Fault> {
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        let members = app.store.members(cursor).await?;
        let mut known: HashMap<String, bool> = members.users.into_iter().map(|it| (it, false)).collect();
        let ids: Vec<Uuid> = known.keys().filter_map(|it| it.parse().ok()).collect();
        let rows =
            sqlx::query("SELECT id FROM users WHERE id = ANY($1)").bind(&ids).fetch_all(&app.database).await;
        for row in rows.map_err(|error| sql_fault("look up the board's members", error))? {
            known.insert(row.get::<Uuid, _>("id").to_string(), true);
        }
        let strangers = known.into_iter().filter(|(_, known)| !known);
        found.extend(
            strangers.map(|(user, _)| Difference { user, what: "is on the board, but no user".into() }),
        );
        cursor = members.cursor;
        if cursor == 0 {
            return Ok(found);
        }
    }
}
