//! The table `admin_audit`.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, Row};
use uuid::Uuid;

use super::{Changed, Decision};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{sql_fault, timed};

/// One thing that an operator did.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When, in ms since the Unix epoch.
    pub at_ms: i64,
    /// Who did it.
    pub actor: String,
    /// What: `ban`, `adjust`, …
    pub action: String,
    /// To whom.
    pub username: String,
    /// The same, by number.
    pub number: i64,
    /// Why.
    pub reason: String,
    /// More about it.
    pub detail: Value,
}

/// An operation that is about to be done.
pub(super) struct Meant<'a> {
    /// To whom.
    pub user: Uuid,
    /// What: `ban`, `adjust`, …
    pub action: &'a str,
    /// Who and why.
    pub decision: &'a Decision,
    /// An actor's own word for it, under which it is done once.
    pub key: Option<&'a str>,
    /// More about it.
    pub detail: Option<&'a Value>,
}

/// Why an operation was refused. It stands in its row, so that a repeat under its key is refused as it was: rows are never taken back,
/// since somebody else may have done meanwhile what one of them was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The total would have left its range.
    OutOfRange,
    /// The user was set aside.
    Quarantined,
    /// The user was not set aside.
    NotQuarantined,
}

impl Refused {
    const ALL: [Self; 3] = [Self::OutOfRange, Self::Quarantined, Self::NotQuarantined];

    fn as_str(self) -> &'static str {
        match self {
            Self::OutOfRange => "out_of_range",
            Self::Quarantined => "quarantined",
            Self::NotQuarantined => "not_quarantined",
        }
    }

    /// As the row has it.
    pub fn detail(self) -> Value {
        json!({ "refused": self.as_str() })
    }

    /// As the operator hears it.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::OutOfRange => Refusal::field("points", "would take the total below 0 or above 2^53 - 1"),
            Self::Quarantined => Refusal::field("userId", "is set aside: confirm or void what is held first"),
            Self::NotQuarantined => Refusal::field("userId", "is not set aside: nothing is held"),
        }
    }
}

/// Writes one row. Returns whether it is new: under one key an actor has one.
pub(super) async fn note(connection: &mut PgConnection, id: Uuid, it: &Meant<'_>) -> Result<bool> {
    let Decision { actor, host, reason } = it.decision;
    let mut detail = it.detail.cloned();
    if let Some(host) = host {
        detail.get_or_insert_with(|| json!({}))["host"] = json!(host);
    }
    let written = sqlx::query(
        "INSERT INTO admin_audit (id, actor, action, user_id, reason, detail, idempotency_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, idempotency_key) DO NOTHING",
    )
    .bind(id)
    .bind(actor)
    .bind(it.action)
    .bind(it.user)
    .bind(reason)
    .bind(&detail)
    .bind(it.key)
    .execute(connection)
    .await;
    Ok(written.map_err(|error| sql_fault("write the audit", error))?.rows_affected() == 1)
}

/// The row that an operation's key stands for.
///
/// # Errors
/// It is another operation's; Postgres is away.
pub(super) async fn under_key(connection: &mut PgConnection, it: &Meant<'_>) -> Result<Uuid> {
    let nothing = json!({});
    let asked = sqlx::query(
        "SELECT id, user_id = $3 AND action = $4 AND reason = $5 AND coalesce(detail, '{}') @> $6 AS same
         FROM admin_audit WHERE actor = $1 AND idempotency_key = $2",
    )
    .bind(&it.decision.actor)
    .bind(it.key)
    .bind(it.user)
    .bind(it.action)
    .bind(&it.decision.reason)
    .bind(it.detail.unwrap_or(&nothing));
    let row = asked.fetch_one(connection).await.map_err(|error| sql_fault("look up a key", error))?;
    if row.get("same") { Ok(row.get("id")) } else { Err(Refusal::IdempotencyMismatch.into()) }
}

/// Locks a row until the transaction ends. Returns why the operation was refused, if it was.
pub(super) async fn lock(app: &App, connection: &mut PgConnection, id: Uuid) -> Result<Option<Refused>> {
    let doing = "lock a row of the audit";
    let sql = "SELECT detail->>'refused' FROM admin_audit WHERE id = $1 FOR UPDATE";
    let asked = sqlx::query_scalar(sql).bind(id).fetch_one(connection);
    let refused: Option<String> =
        timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    Ok(refused.and_then(|it| Refused::ALL.into_iter().find(|known| known.as_str() == it)))
}

/// Adds what came of it.
pub(super) async fn complete(
    app: &App,
    database: impl PgExecutor<'_>,
    id: Uuid,
    detail: Value,
) -> Result<()> {
    let doing = "complete the audit";
    let sql = "UPDATE admin_audit SET detail = coalesce(detail, '{}') || $2 WHERE id = $1";
    let written = timed(&app.metrics, doing, sqlx::query(sql).bind(id).bind(detail).execute(database)).await;
    written.map(drop).map_err(|error| sql_fault(doing, error).into())
}

/// What came of an event, if it is known: as the ledger has it, or else as the audit does.
pub(super) async fn changed(connection: &mut PgConnection, id: Uuid) -> Result<Option<Changed>> {
    let sql = "SELECT coalesce(h.score_before, (a.detail->>'before')::bigint) AS before,
                      coalesce(h.score_after, (a.detail->>'after')::bigint) AS after
               FROM admin_audit a LEFT JOIN score_history h ON h.event_id = a.id WHERE a.id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await;
    let row = row.map_err(|error| sql_fault("look up what came of an event", error))?;
    let total = |name: &str| row.as_ref()?.get::<Option<i64>, _>(name).map(|it| it as u64);
    Ok(total("before").zip(total("after")).map(|(before, after)| Changed { event_id: id, before, after }))
}

/// The event that an operation joined, if it joined one.
pub(super) async fn joined(connection: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>> {
    let sql = "SELECT (detail->>'joins')::uuid FROM admin_audit WHERE id = $1";
    let row = sqlx::query_scalar(sql).bind(id).fetch_one(connection).await;
    Ok(row.map_err(|error| sql_fault("look up what was joined", error))?)
}

/// The newest deeds.
///
/// # Errors
/// Postgres is away.
pub async fn audit(app: &App, limit: u32) -> Result<Vec<Deed>> {
    let doing = "read the audit";
    let asked = sqlx::query(
        "SELECT (extract(epoch FROM a.created_at) * 1000)::bigint AS at_ms, a.actor, a.action, a.reason,
                coalesce(a.detail, 'null') AS detail, u.username, u.number
         FROM admin_audit a JOIN users u ON u.id = a.user_id
         ORDER BY a.created_at DESC LIMIT $1",
    )
    .bind(i64::from(limit));
    let rows = timed(&app.metrics, doing, asked.fetch_all(&app.database)).await;
    let rows = rows.map_err(|error| sql_fault(doing, error))?;
    let deed = |row: &sqlx::postgres::PgRow| Deed {
        at_ms: row.get("at_ms"),
        actor: row.get("actor"),
        action: row.get("action"),
        username: row.get("username"),
        number: row.get("number"),
        reason: row.get("reason"),
        detail: row.get("detail"),
    };
    Ok(rows.iter().map(deed).collect())
}
