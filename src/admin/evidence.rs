//! What there is against one suspect.

use std::net::IpAddr;

use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use super::find_user;
use super::suspects::{self, Suspected};
use crate::account::User;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{sql_fault, timed};
use crate::suspicion::Sign;

/// Refused attempts that are shown, the newest.
const REFUSED: i64 = 50;
/// Users behind an address, or addresses of a user, that are shown: the heaviest.
const BEHIND: i64 = 100;

/// One sign in one hour.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the UTC hour begins, in ms since the Unix epoch.
    pub hour_ms: i64,
    /// The sign.
    pub sign: String,
    /// How often it was seen.
    pub count: i64,
    /// When first, in ms since the Unix epoch.
    pub first_at_ms: i64,
    /// When last.
    pub last_at_ms: i64,
}

/// An attempt whose proof failed.
#[derive(Clone, Debug)]
pub struct RefusedAttempt {
    /// When, in ms since the Unix epoch.
    pub at_ms: i64,
    /// The attempt.
    pub event_id: Uuid,
    /// What it was for.
    pub action: String,
    /// What it would have been worth.
    pub points: i64,
    /// What was handed in.
    pub proof: Value,
}

/// What there is against a suspect.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// A user's UUID, or an address.
    pub suspect: String,
    /// The user, if it is one.
    pub user: Option<User>,
    /// By hour, the newest first.
    pub seen: Vec<Seen>,
    /// Who was seen together with the suspect, the heaviest first, by what was seen of both: of an address the users, of a user the
    /// addresses.
    pub behind: Vec<Suspected>,
    /// Of a user, the newest first.
    pub refused: Vec<RefusedAttempt>,
}

/// The signs of the last hours against an address or a user, and what of the user's was refused meanwhile.
///
/// # Errors
/// It is no address, and there is no such user; Postgres is away.
pub async fn evidence(app: &App, suspect: &str, hours: u32) -> Result<Evidence> {
    if let Ok(address) = suspect.parse::<IpAddr>() {
        let suspect = address.to_canonical().to_string();
        let seen = seen(app, &suspect, hours).await?;
        let behind = behind(app, None, Some(&suspect), hours).await?;
        return Ok(Evidence { suspect, user: None, seen, behind, refused: Vec::new() });
    }
    let user = find_user(app, suspect).await?;
    let suspect = user.id.to_string();
    let seen = seen(app, &suspect, hours).await?;
    let behind = behind(app, Some(user.id), None, hours).await?;
    let refused = refused(app, user.id, hours).await?;
    Ok(Evidence { suspect, user: Some(user), seen, behind, refused })
}

async fn behind(app: &App, user: Option<Uuid>, address: Option<&str>, hours: u32) -> Result<Vec<Suspected>> {
    let doing = "look who is behind a suspect";
    let asked = sqlx::query(
        "SELECT it.suspect, sum(it.count * weights.weight)::bigint AS weight, jsonb_object_agg(sign, it.count) AS signs,
                (extract(epoch FROM max(it.last_at)) * 1000)::bigint AS last_at_ms, u.number, u.username,
                coalesce(u.banned_at IS NOT NULL, FALSE) AS banned, coalesce(u.quarantined_at IS NOT NULL AND u.voids_id IS NULL, FALSE) AS quarantined
         FROM (SELECT CASE WHEN $1::uuid IS NULL THEN user_id::text ELSE address END AS suspect,
                      sign, sum(count)::bigint AS count, max(last_at) AS last_at
               FROM suspect_addresses WHERE (user_id = $1 OR address = $2) AND hour > now() - make_interval(hours => $3)
               GROUP BY 1, 2) it
         JOIN unnest($5::text[], $6::bigint[]) AS weights (sign, weight) USING (sign)
         LEFT JOIN users u ON u.id = CASE WHEN $1 IS NULL THEN it.suspect::uuid END
         GROUP BY it.suspect, u.id ORDER BY weight DESC, it.suspect LIMIT $4",
    )
    .bind(user)
    .bind(address)
    .bind(hours as i32)
    .bind(BEHIND)
    .bind(Sign::ALL.map(Sign::as_str).to_vec())
    .bind(Sign::ALL.map(Sign::weight).to_vec());
    let rows = timed(&app.metrics, doing, asked.fetch_all(&app.database)).await;
    Ok(rows.map_err(|error| sql_fault(doing, error))?.iter().map(suspects::read).collect())
}

async fn seen(app: &App, suspect: &str, hours: u32) -> Result<Vec<Seen>> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM hour) * 1000)::bigint AS hour_ms, sign, count,
                (extract(epoch FROM first_at) * 1000)::bigint AS first_at_ms,
                (extract(epoch FROM last_at) * 1000)::bigint AS last_at_ms
         FROM suspicions WHERE suspect = $1 AND hour > now() - make_interval(hours => $2) ORDER BY hour DESC, sign",
    );
    let asked = rows.bind(suspect).bind(hours as i32).fetch_all(&app.database);
    let rows = timed(&app.metrics, "read the signs", asked).await;
    let read = |row: &sqlx::postgres::PgRow| Seen {
        hour_ms: row.get("hour_ms"),
        sign: row.get("sign"),
        count: row.get("count"),
        first_at_ms: row.get("first_at_ms"),
        last_at_ms: row.get("last_at_ms"),
    };
    Ok(rows.map_err(|error| sql_fault("read the signs", error))?.iter().map(read).collect())
}

async fn refused(app: &App, user: Uuid, hours: u32) -> Result<Vec<RefusedAttempt>> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM refused_at) * 1000)::bigint AS at_ms, id, action_type, score_value,
                coalesce(proof_of_work, 'null') AS proof
         FROM user_action
         WHERE user_id = $1 AND completed_at IS NULL AND created_at > now() - make_interval(hours => $2) AND refused_at IS NOT NULL
         ORDER BY created_at DESC LIMIT $3",
    );
    let asked = rows.bind(user).bind(hours as i32).bind(REFUSED).fetch_all(&app.database);
    let rows = timed(&app.metrics, "read what was refused", asked).await;
    let read = |row: &sqlx::postgres::PgRow| RefusedAttempt {
        at_ms: row.get("at_ms"),
        event_id: row.get("id"),
        action: row.get("action_type"),
        points: row.get("score_value"),
        proof: row.get("proof"),
    };
    Ok(rows.map_err(|error| sql_fault("read what was refused", error))?.iter().map(read).collect())
}
