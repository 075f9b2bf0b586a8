//! Suspects, ranked by abuse signals, and the report about one user.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::abuse::AbuseSignal;
use crate::account::User;
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;

/// A suspect with abuse signals.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// A user's UUID or an IP address.
    pub suspect: String,
    /// Number and name, if it is a user.
    pub user: Option<(i64, String)>,
    /// Sum of count × weight of all signals.
    pub weight: i64,
    /// Count per signal.
    pub signals: BTreeMap<String, i64>,
    /// Time of the last signal in ms since the Unix epoch.
    pub last_at_ms: i64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
}

/// Everything that an admin needs to decide about a user.
#[derive(Clone, Debug)]
pub struct UserReport {
    /// The user.
    pub user: User,
    /// Total in Redis.
    pub total: u64,
    /// Score on the board, from Redis.
    pub shown: u64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
    /// Counts of abuse signals in the last hours.
    pub signals: BTreeMap<String, i64>,
    /// Registration time in ms since the Unix epoch.
    pub created_at_ms: i64,
    /// Awards, according to the rollups.
    pub awards: i64,
    /// Time of the newest award in ms since the Unix epoch.
    pub last_at_ms: Option<i64>,
    /// Rank on the board.
    pub rank: Option<u64>,
}

/// Suspects, highest weight first.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// Users.
    pub users: Vec<Suspect>,
    /// Addresses. Many players may share one, so its weight is not comparable with that of a user.
    pub addresses: Vec<Suspect>,
}

/// The suspects with the highest weights in the last hours: at most `limit` users and `limit` addresses.
///
/// # Errors
/// Postgres is unavailable.
pub async fn suspects(admin: &Admin, hours: u32, limit: u32) -> Result<Suspects> {
    let query_name = "rank_suspects";
    let query = sqlx::query(
        "WITH weighted AS (
             SELECT suspect, is_user, sum(count * weights.weight)::bigint AS weight, max(last_at) AS last_at
             FROM abuse_signals JOIN unnest($3::text[], $4::bigint[]) AS weights (signal, weight) USING (signal)
             WHERE hour > now() - make_interval(hours => $1)
             GROUP BY suspect, is_user),
         heaviest AS ((SELECT * FROM weighted WHERE is_user ORDER BY weight DESC, suspect LIMIT $2)
                      UNION ALL (SELECT * FROM weighted WHERE NOT is_user ORDER BY weight DESC, suspect LIMIT $2))
         SELECT it.suspect, it.is_user, it.weight, (extract(epoch FROM it.last_at) * 1000)::bigint AS last_at_ms,
                (SELECT jsonb_object_agg(signal, count) FROM (
                     SELECT signal, sum(count)::bigint AS count FROM abuse_signals
                     WHERE suspect = it.suspect AND hour > now() - make_interval(hours => $1) GROUP BY signal) by_sign) AS signals,
                u.number, u.username,
                coalesce(u.banned_at IS NOT NULL, FALSE) AS banned, coalesce(u.quarantined_at IS NOT NULL AND u.voids_id IS NULL, FALSE) AS quarantined
         FROM heaviest it LEFT JOIN users u ON u.id = CASE WHEN it.is_user THEN it.suspect::uuid END
         ORDER BY it.weight DESC, it.suspect",
    )
    .bind(hours as i32)
    .bind(i64::from(limit))
    .bind(AbuseSignal::ALL.map(AbuseSignal::as_str).to_vec())
    .bind(AbuseSignal::ALL.map(AbuseSignal::weight).to_vec());
    let rows = timed(&admin.metrics, query_name, query.fetch_all(&admin.database)).await;
    let rows = rows.map_err(|error| sql_fault(query_name, error))?;
    let (users, addresses): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("is_user"));
    let read_all = |rows: Vec<&PgRow>| rows.into_iter().map(read).collect();
    Ok(Suspects { users: read_all(users), addresses: read_all(addresses) })
}

/// Reads a row that has a suspect.
pub(super) fn read(row: &PgRow) -> Suspect {
    let number: Option<i64> = row.get("number");
    Suspect {
        suspect: row.get("suspect"),
        user: number.map(|number| (number, row.get("username"))),
        weight: row.get("weight"),
        signals: signals(row.get("signals")),
        last_at_ms: row.get("last_at_ms"),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
    }
}

fn signals(value: serde_json::Value) -> BTreeMap<String, i64> {
    serde_json::from_value(value).unwrap_or_default()
}

/// Everything that an admin needs to decide about a user.
///
/// # Errors
/// A store is unavailable.
pub async fn report(admin: &Admin, user: User, hours: u32) -> Result<UserReport> {
    let total = admin.store.totals(&[user.id]).await?.first().copied();
    let (own, board) = total.map_or((None, None), |total| (total.own, total.board));
    let rank = admin.store.standing(user.id).await?.and_then(|(_, rank)| rank);
    let query_name = "read_user";
    let query = sqlx::query(
        "SELECT users.banned_at IS NOT NULL AS banned, users.quarantined_at IS NOT NULL AND users.voids_id IS NULL AS quarantined,
                (extract(epoch FROM users.created_at) * 1000)::bigint AS created_at_ms,
                coalesce(known.awards, 0) AS awards, (extract(epoch FROM known.last_at) * 1000)::bigint AS last_at_ms,
                (SELECT coalesce(jsonb_object_agg(signal, count), '{}') FROM (
                     SELECT signal, sum(count)::bigint AS count FROM abuse_signals
                     WHERE suspect = users.id::text AND hour > now() - make_interval(hours => $2) GROUP BY signal) it) AS signals
         FROM users LEFT JOIN rollup_users known ON known.user_id = users.id WHERE users.id = $1",
    )
    .bind(user.id)
    .bind(hours as i32);
    let row = timed(&admin.metrics, query_name, query.fetch_one(&admin.database)).await;
    let row = row.map_err(|error| sql_fault(query_name, error))?;
    Ok(UserReport {
        total: own.unwrap_or(0),
        shown: board.unwrap_or(0),
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        signals: signals(row.get("signals")),
        created_at_ms: row.get("created_at_ms"),
        awards: row.get("awards"),
        last_at_ms: row.get("last_at_ms"),
        rank,
        user,
    })
}
