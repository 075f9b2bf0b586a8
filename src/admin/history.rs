//! A user's history from all tables as one stream, newest first, in pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;

/// A position in the stream; older events follow. Time in µs, number of the table, and id in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    at_us: i64,
    table: i32,
    id: String,
}

impl Cursor {
    /// The position before all events.
    fn newest() -> Self {
        Self { at_us: i64::MAX, table: i32::MAX, id: String::new() }
    }

    /// The opaque form for clients.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}.{}", self.at_us, self.table, self.id))
    }

    /// Parses the opaque form.
    ///
    /// # Errors
    /// The text is not a cursor.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let mut parts = plain.splitn(3, '.');
            let (at_us, table) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let id = parts.next()?.to_owned();
            // Postgres accepts neither negative times this far away nor U+0000.
            let is_valid = at_us >= 0 && id.len() <= 50 && id.bytes().all(|byte| byte.is_ascii_graphic());
            is_valid.then_some(Self { at_us, table, id })
        };
        read().ok_or_else(|| "must be the `next` of the previous page".to_owned())
    }
}

/// One event. The facts depend on the kind.
#[derive(Clone, Debug)]
pub struct Event {
    /// `award`, `adjustment`, `carried`, `refused`, `expired`, `open`, `session` or `admin`.
    pub kind: String,
    /// When, in ms since the Unix epoch.
    pub at_ms: i64,
    /// Details by name. Names that end with `_ms` are times in ms since the Unix epoch.
    pub facts: Value,
}

/// A page of the stream.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first.
    pub events: Vec<Event>,
    /// Start of the next page. None at the end.
    pub next: Option<Cursor>,
}

/// Each table's page is found by an index that starts with the user; their union is cut to one page. Ledger entries are ordered by clock,
/// since a carried entry's `created_at` is later than the events it sums up. An adjustment is shown from the ledger, and from the audit
/// only if the ledger does not have it (yet, or any more).
const PAGE: &str = "
    WITH entries AS (
        SELECT hlc_us AS at_us, 1 AS place, event_id::text AS id, created_at AS at,
               CASE WHEN action_token_hash <> '' THEN 'award' WHEN note IS NOT NULL THEN 'adjustment' ELSE 'carried' END AS kind,
               jsonb_build_object('eventId', event_id, 'actionType', action_type, 'points', points_earned, 'scoreBefore', score_before,
                                  'scoreAfter', score_after, 'held', held, 'voidedBy', voided_by,
                                  CASE WHEN action_token_hash <> '' THEN 'result' ELSE 'note' END, note) AS facts
        FROM score_history
        WHERE user_id = $1 AND hlc_us <= $2 AND (hlc_us, 1, event_id::text) < ($2, $3, $4)
        ORDER BY hlc_us DESC, event_id::text DESC LIMIT $5
    ), attempts AS (
        SELECT (extract(epoch FROM created_at) * 1000000)::bigint AS at_us, 2 AS place, id::text AS id, created_at AS at,
               CASE WHEN refused_at IS NOT NULL THEN 'refused' WHEN expires_at < now() THEN 'expired' ELSE 'open' END AS kind,
               jsonb_build_object('eventId', id, 'actionType', action_type, 'points', score_value, 'proof', proof_of_work,
                                  'refused_ms', (extract(epoch FROM refused_at) * 1000)::bigint,
                                  'expires_ms', (extract(epoch FROM expires_at) * 1000)::bigint) AS facts
        FROM user_action
        WHERE user_id = $1 AND completed_at IS NULL AND created_at <= to_timestamp($2::bigint / 1000000.0 + 0.001)
              AND ((extract(epoch FROM created_at) * 1000000)::bigint, 2, id::text) < ($2, $3, $4)
        ORDER BY created_at DESC, id::text DESC LIMIT $5
    ), sessions AS (
        SELECT (extract(epoch FROM created_at) * 1000000)::bigint AS at_us, 3 AS place, session_id::text AS id, created_at AS at,
               'session' AS kind,
               jsonb_build_object('sessionId', session_id, 'actions', actions_count, 'active', is_active,
                                  'ended_ms', (extract(epoch FROM ended_at) * 1000)::bigint) AS facts
        FROM game_sessions
        WHERE user_id = $1 AND ((extract(epoch FROM created_at) * 1000000)::bigint, 3, session_id::text) < ($2, $3, $4)
        ORDER BY created_at DESC, session_id::text DESC LIMIT $5
    ), audit AS (
        SELECT (extract(epoch FROM created_at) * 1000000)::bigint AS at_us, 4 AS place, id::text AS id, created_at AS at, 'admin' AS kind,
               jsonb_build_object('actor', actor, 'action', action, 'reason', reason, 'detail', detail) AS facts
        FROM admin_audit
        WHERE user_id = $1 AND created_at <= to_timestamp($2::bigint / 1000000.0 + 0.001) AND ((extract(epoch FROM created_at) * 1000000)::bigint, 4, id::text) < ($2, $3, $4)
              AND NOT (action IN ('adjust', 'void')
                       AND EXISTS (SELECT FROM score_history WHERE event_id = admin_audit.id AND score_history.user_id = $1))
        ORDER BY created_at DESC, id::text DESC LIMIT $5
    ), page AS (
        SELECT * FROM entries UNION ALL SELECT * FROM attempts UNION ALL SELECT * FROM sessions UNION ALL SELECT * FROM audit
        ORDER BY at_us DESC, place DESC, id DESC LIMIT $5
    )
    SELECT at_us, place, id, kind, (extract(epoch FROM at) * 1000)::bigint AS at_ms,
           CASE kind WHEN 'award' THEN facts || jsonb_build_object('proof',
                                                     (SELECT proof_of_work FROM user_action it WHERE it.id = page.id::uuid))
                     ELSE facts END AS facts
    FROM page ORDER BY at_us DESC, place DESC, id DESC";

/// The user's events before a cursor, or the newest ones.
///
/// # Errors
/// Postgres is unavailable.
pub async fn history(admin: &Admin, user: Uuid, before: Option<Cursor>, limit: u32) -> Result<Page> {
    let before = before.unwrap_or_else(Cursor::newest);
    let query_name = "read_user_history";
    let query = sqlx::query(PAGE)
        .bind(user)
        .bind(before.at_us)
        .bind(before.table)
        .bind(&before.id)
        .bind(i64::from(limit) + 1)
        .fetch_all(&admin.database);
    let rows =
        timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
    let shown = &rows[..rows.len().min(limit as usize)];
    let cursor = |row: &sqlx::postgres::PgRow| Cursor {
        at_us: row.get("at_us"),
        table: row.get("place"),
        id: row.get("id"),
    };
    let next = shown.last().filter(|_| rows.len() > shown.len()).map(cursor);
    let event = |row: &sqlx::postgres::PgRow| Event {
        kind: row.get("kind"),
        at_ms: row.get("at_ms"),
        facts: row.get("facts"),
    };
    Ok(Page { events: shown.iter().map(event).collect(), next })
}
