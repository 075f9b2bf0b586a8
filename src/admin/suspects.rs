//! Who looks like cheating, and what is known of one user.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::account::User;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{sql_fault, timed};
use crate::suspicion::Sign;

/// A suspect and the signs.
#[derive(Clone, Debug)]
pub struct Suspected {
    /// A user's UUID, or an address.
    pub suspect: String,
    /// The user's number and name, if it is one.
    pub user: Option<(i64, String)>,
    /// The signs' weights, each times its count.
    pub weight: i64,
    /// How often each was seen.
    pub signs: BTreeMap<String, i64>,
    /// When the last one was, in ms since the Unix epoch.
    pub last_at_ms: i64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub quarantined: bool,
}

/// What is known of one user.
#[derive(Clone, Debug)]
pub struct UserReport {
    /// Who.
    pub user: User,
    /// The total, by Redis.
    pub total: u64,
    /// How much of it others see, by Redis.
    pub shown: u64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub quarantined: bool,
    /// The signs of the last hours.
    pub signs: BTreeMap<String, i64>,
    /// When the user registered, in ms since the Unix epoch.
    pub created_at_ms: i64,
    /// Awards, as far as they are summed up.
    pub awards: i64,
    /// The newest of them.
    pub last_at_ms: Option<i64>,
    /// The place on the board, if there is one.
    pub rank: Option<u64>,
}

/// Who looks like cheating, the heaviest first.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// Users.
    pub users: Vec<Suspected>,
    /// Addresses. One may be shared by many, so that their weights say nothing beside those of users.
    pub addresses: Vec<Suspected>,
}

/// The heaviest suspects of the last hours: at most `limit` users, and as many addresses.
///
/// # Errors
/// Postgres is away.
pub async fn suspects(app: &App, hours: u32, limit: u32) -> Result<Suspects> {
    let doing = "rank suspects";
    let asked = sqlx::query(
        "WITH weighed AS (
             SELECT suspect, is_user, sum(count * weights.weight)::bigint AS weight, max(last_at) AS last_at
             FROM suspicions JOIN unnest($3::text[], $4::bigint[]) AS weights (sign, weight) USING (sign)
             WHERE hour > now() - make_interval(hours => $1)
             GROUP BY suspect, is_user),
         heaviest AS ((SELECT * FROM weighed WHERE is_user ORDER BY weight DESC, suspect LIMIT $2)
                      UNION ALL (SELECT * FROM weighed WHERE NOT is_user ORDER BY weight DESC, suspect LIMIT $2))
         SELECT it.suspect, it.is_user, it.weight, (extract(epoch FROM it.last_at) * 1000)::bigint AS last_at_ms,
                (SELECT jsonb_object_agg(sign, count) FROM (
                     SELECT sign, sum(count)::bigint AS count FROM suspicions
                     WHERE suspect = it.suspect AND hour > now() - make_interval(hours => $1) GROUP BY sign) by_sign) AS signs,
                u.number, u.username,
                coalesce(u.banned_at IS NOT NULL, FALSE) AS banned, coalesce(u.quarantined_at IS NOT NULL AND u.voids_id IS NULL, FALSE) AS quarantined
         FROM heaviest it LEFT JOIN users u ON u.id = CASE WHEN it.is_user THEN it.suspect::uuid END
         ORDER BY it.weight DESC, it.suspect",
    )
    .bind(hours as i32)
    .bind(i64::from(limit))
    .bind(Sign::ALL.map(Sign::as_str).to_vec())
    .bind(Sign::ALL.map(Sign::weight).to_vec());
    let rows = timed(&app.metrics, doing, asked.fetch_all(&app.database)).await;
    let rows = rows.map_err(|error| sql_fault(doing, error))?;
    let (users, addresses): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("is_user"));
    let read_all = |rows: Vec<&PgRow>| rows.into_iter().map(read).collect();
    Ok(Suspects { users: read_all(users), addresses: read_all(addresses) })
}

/// Reads a row that has a suspect.
pub(super) fn read(row: &PgRow) -> Suspected {
    let number: Option<i64> = row.get("number");
    Suspected {
        suspect: row.get("suspect"),
        user: number.map(|number| (number, row.get("username"))),
        weight: row.get("weight"),
        signs: signs(row.get("signs")),
        last_at_ms: row.get("last_at_ms"),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
    }
}

fn signs(value: serde_json::Value) -> BTreeMap<String, i64> {
    serde_json::from_value(value).unwrap_or_default()
}

/// Everything about one user that an operator decides by.
///
/// # Errors
/// A store is away.
pub async fn report(app: &App, user: User, hours: u32) -> Result<UserReport> {
    let total = app.store.totals(&[user.id]).await?.first().copied();
    let (own, board) = total.map_or((None, None), |it| (it.own, it.board));
    let rank = app.store.standing(user.id).await?.and_then(|(_, rank)| rank);
    let doing = "look at a user";
    let asked = sqlx::query(
        "SELECT users.banned_at IS NOT NULL AS banned, users.quarantined_at IS NOT NULL AND users.voids_id IS NULL AS quarantined,
                (extract(epoch FROM users.created_at) * 1000)::bigint AS created_at_ms,
                coalesce(known.awards, 0) AS awards, (extract(epoch FROM known.last_at) * 1000)::bigint AS last_at_ms,
                (SELECT coalesce(jsonb_object_agg(sign, count), '{}') FROM (
                     SELECT sign, sum(count)::bigint AS count FROM suspicions
                     WHERE suspect = users.id::text AND hour > now() - make_interval(hours => $2) GROUP BY sign) it) AS signs
         FROM users LEFT JOIN rollup_users known ON known.user_id = users.id WHERE users.id = $1",
    )
    .bind(user.id)
    .bind(hours as i32);
    let row = timed(&app.metrics, doing, asked.fetch_one(&app.database)).await;
    let row = row.map_err(|error| sql_fault(doing, error))?;
    Ok(UserReport {
        total: own.unwrap_or(0),
        shown: board.unwrap_or(0),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        signs: signs(row.get("signs")),
        created_at_ms: row.get("created_at_ms"),
        awards: row.get("awards"),
        last_at_ms: row.get("last_at_ms"),
        rank,
        user,
    })
}
