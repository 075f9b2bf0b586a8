//! The evidence against a suspect.

use std::net::IpAddr;

use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use super::find_user;
use super::suspects::{self, Suspect};
use crate::abuse::AbuseSignal;
use crate::account::User;
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;

/// Newest refused attempts shown.
const REFUSED: i64 = 50;
/// Users of an address, or addresses of a user, shown: those with the highest weights.
const RELATED: i64 = 100;

/// One abuse signal in one hour.
#[derive(Clone, Debug)]
pub struct HourlySignal {
    /// Start of the UTC hour in ms since the Unix epoch.
    pub hour_ms: i64,
    /// The signal.
    pub signal: String,
    /// How often it occurred.
    pub count: i64,
    /// Time of the first one in ms since the Unix epoch.
    pub first_at_ms: i64,
    /// Time of the last one.
    pub last_at_ms: i64,
}

/// An attempt whose proof failed.
#[derive(Clone, Debug)]
pub struct RefusedAttempt {
    /// Time in ms since the Unix epoch.
    pub at_ms: i64,
    /// Id of the attempt.
    pub event_id: Uuid,
    /// The action's type.
    pub action: String,
    /// Points it would have earned.
    pub points: i64,
    /// The submitted proof.
    pub proof: Value,
}

/// The evidence against a suspect.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// A user's UUID or an IP address.
    pub suspect: String,
    /// The user, unless it is an address.
    pub user: Option<User>,
    /// Signals by hour, newest first.
    pub signals: Vec<HourlySignal>,
    /// Users of the address, or addresses of the user, by the weight of the signals they share, highest first.
    pub related: Vec<Suspect>,
    /// Of a user, newest first.
    pub refused: Vec<RefusedAttempt>,
}

/// The abuse signals of an address or a user in the last hours, and the user's refused attempts of that time.
///
/// # Errors
/// The text is neither an address nor a user; Postgres is unavailable.
pub async fn evidence(admin: &Admin, suspect: &str, hours: u32) -> Result<Evidence> {
    if let Ok(address) = suspect.parse::<IpAddr>() {
        let suspect = address.to_canonical().to_string();
        let signals = signals(admin, &suspect, hours).await?;
        let related = related(admin, None, Some(&suspect), hours).await?;
        return Ok(Evidence { suspect, user: None, signals, related, refused: Vec::new() });
    }
    let user = find_user(admin, suspect).await?;
    let suspect = user.id.to_string();
    let signals = signals(admin, &suspect, hours).await?;
    let related = related(admin, Some(user.id), None, hours).await?;
    let refused = refused(admin, user.id, hours).await?;
    Ok(Evidence { suspect, user: Some(user), signals, related, refused })
}

async fn related(
    admin: &Admin,
    user: Option<Uuid>,
    address: Option<&str>,
    hours: u32,
) -> Result<Vec<Suspect>> {
    let query_name = "find_users_behind_suspect";
    let query = sqlx::query(
        "SELECT it.suspect, sum(it.count * weights.weight)::bigint AS weight, jsonb_object_agg(signal, it.count) AS signals,
                (extract(epoch FROM max(it.last_at)) * 1000)::bigint AS last_at_ms, u.number, u.username,
                coalesce(u.banned_at IS NOT NULL, FALSE) AS banned, coalesce(u.quarantined_at IS NOT NULL AND u.voids_id IS NULL, FALSE) AS quarantined
         FROM (SELECT CASE WHEN $1::uuid IS NULL THEN user_id::text ELSE address END AS suspect,
                      signal, sum(count)::bigint AS count, max(last_at) AS last_at
               FROM suspect_addresses WHERE (user_id = $1 OR address = $2) AND hour > now() - make_interval(hours => $3)
               GROUP BY 1, 2) it
         JOIN unnest($5::text[], $6::bigint[]) AS weights (signal, weight) USING (signal)
         LEFT JOIN users u ON u.id = CASE WHEN $1 IS NULL THEN it.suspect::uuid END
         GROUP BY it.suspect, u.id ORDER BY weight DESC, it.suspect LIMIT $4",
    )
    .bind(user)
    .bind(address)
    .bind(hours as i32)
    .bind(RELATED)
    .bind(AbuseSignal::ALL.map(AbuseSignal::as_str).to_vec())
    .bind(AbuseSignal::ALL.map(AbuseSignal::weight).to_vec());
    let rows = timed(&admin.metrics, query_name, query.fetch_all(&admin.database)).await;
    Ok(rows.map_err(|error| sql_fault(query_name, error))?.iter().map(suspects::read).collect())
}

async fn signals(admin: &Admin, suspect: &str, hours: u32) -> Result<Vec<HourlySignal>> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM hour) * 1000)::bigint AS hour_ms, signal, count,
                (extract(epoch FROM first_at) * 1000)::bigint AS first_at_ms,
                (extract(epoch FROM last_at) * 1000)::bigint AS last_at_ms
         FROM abuse_signals WHERE suspect = $1 AND hour > now() - make_interval(hours => $2) ORDER BY hour DESC, signal",
    );
    let query = rows.bind(suspect).bind(hours as i32).fetch_all(&admin.database);
    let rows = timed(&admin.metrics, "read_abuse_signals", query).await;
    let read = |row: &sqlx::postgres::PgRow| HourlySignal {
        hour_ms: row.get("hour_ms"),
        signal: row.get("signal"),
        count: row.get("count"),
        first_at_ms: row.get("first_at_ms"),
        last_at_ms: row.get("last_at_ms"),
    };
    Ok(rows.map_err(|error| sql_fault("read_abuse_signals", error))?.iter().map(read).collect())
}

async fn refused(admin: &Admin, user: Uuid, hours: u32) -> Result<Vec<RefusedAttempt>> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM refused_at) * 1000)::bigint AS at_ms, id, action_type, score_value,
                coalesce(proof_of_work, 'null') AS proof
         FROM user_action
         WHERE user_id = $1 AND completed_at IS NULL AND created_at > now() - make_interval(hours => $2) AND refused_at IS NOT NULL
         ORDER BY created_at DESC LIMIT $3",
    );
    let query = rows.bind(user).bind(hours as i32).bind(REFUSED).fetch_all(&admin.database);
    let rows = timed(&admin.metrics, "read_refused_proofs", query).await;
    let read = |row: &sqlx::postgres::PgRow| RefusedAttempt {
        at_ms: row.get("at_ms"),
        event_id: row.get("id"),
        action: row.get("action_type"),
        points: row.get("score_value"),
        proof: row.get("proof"),
    };
    Ok(rows.map_err(|error| sql_fault("read_refused_proofs", error))?.iter().map(read).collect())
}
