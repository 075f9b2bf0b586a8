//! Dead letters for admins: listing them and deciding what happens. Each row stores the decision itself, since its user may be missing in
//! Postgres. For known users the audit has it too.

use serde_json::json;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::audit::Operation;
use super::{Decision, audit};
use crate::admin::Admin;
use crate::db::{begin, sql_fault, timed};
use crate::error::{Error, Refusal, Result};

/// An entry that could not be written to the ledger.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Number of the dead letter.
    pub id: i64,
    /// When it left the outbox, in ms since the Unix epoch.
    pub at_ms: i64,
    /// Id in the outbox stream.
    pub stream_id: String,
    /// Event id, if it could be parsed.
    pub event_id: Option<Uuid>,
    /// User, if it could be parsed.
    pub user: Option<Uuid>,
    /// The user's number and name, if the user is in Postgres.
    pub known: Option<(i64, String)>,
    /// `awarded`, `issued`, …, if it could be parsed.
    pub kind: Option<String>,
    /// Points, if it changes a total.
    pub points: Option<i64>,
    /// `unknown_user`, `unreadable` or `refused`.
    pub reason: String,
    /// The error message.
    pub detail: String,
    /// The outbox entry. Invalid UTF-8 is replaced.
    pub entry: String,
    /// `waiting`, `retrying`, `written` or `discarded`.
    pub state: String,
    /// Whether Redis still contains its effect.
    pub in_redis: bool,
    /// Actor and reason of the latest decision.
    pub decided: Option<(String, String)>,
}

/// Decision about a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterAction {
    /// The leader tries to write it again within a second.
    Retry,
    /// It is never written.
    Discard,
}

impl DeadLetterAction {
    fn state(self) -> &'static str {
        match self {
            Self::Retry => "retrying",
            Self::Discard => "discarded",
        }
    }

    fn audit_action(self) -> &'static str {
        match self {
            Self::Retry => "retry_letter",
            Self::Discard => "discard_letter",
        }
    }
}

/// The newest open dead letters, or the newest of all.
///
/// # Errors
/// Postgres is unavailable.
pub async fn dead_letters(admin: &Admin, all: bool, limit: u32) -> Result<Vec<DeadLetter>> {
    let query_name = "read_dead_letters";
    let query = sqlx::query(
        "SELECT l.*, (extract(epoch FROM l.created_at) * 1000)::bigint AS at_ms, u.number, u.username
         FROM dead_letters l LEFT JOIN users u ON u.id = l.user_id
         WHERE $1 OR l.state IN ('waiting', 'retrying') ORDER BY l.id DESC LIMIT $2",
    )
    .bind(all)
    .bind(i64::from(limit));
    let rows = timed(&admin.metrics, query_name, query.fetch_all(&admin.database)).await;
    Ok(rows.map_err(|error| sql_fault(query_name, error))?.iter().map(read).collect())
}

fn read(row: &PgRow) -> DeadLetter {
    DeadLetter {
        id: row.get("id"),
        at_ms: row.get("at_ms"),
        stream_id: row.get("stream_id"),
        event_id: row.get("event_id"),
        user: row.get("user_id"),
        known: row.get::<Option<i64>, _>("number").zip(row.get("username")),
        kind: row.get("kind"),
        points: row.get("points"),
        reason: row.get("reason"),
        detail: row.get("detail"),
        entry: String::from_utf8_lossy(row.get("entry")).into_owned(),
        state: row.get("state"),
        in_redis: row.get("in_redis"),
        decided: row.get::<Option<String>, _>("decided_by").zip(row.get("decided_reason")),
    }
}

/// Decides about a waiting dead letter. One that is being retried can still be discarded. Returns the new state.
///
/// # Errors
/// There is no such dead letter, or it is not waiting; Postgres is unavailable.
pub async fn decide_dead_letter(
    admin: &Admin,
    id: i64,
    action: DeadLetterAction,
    decision: &Decision,
) -> Result<&'static str> {
    let query_name = "decide_dead_letter";
    let fault = |error| sql_fault(query_name, error);
    let call = admin.metrics.postgres(query_name);
    let mut transaction = begin(&admin.database, "BEGIN").await.map_err(fault)?;
    let user: Option<Option<Uuid>> = sqlx::query_scalar(
        "UPDATE dead_letters SET state = $2, decided_at = now(), decided_by = $3, decided_reason = $4
         WHERE id = $1 AND (state = 'waiting' OR (state = 'retrying' AND $2 = 'discarded'))
         RETURNING (SELECT id FROM users WHERE users.id = user_id)",
    )
    .bind(id)
    .bind(action.state())
    .bind(&decision.actor)
    .bind(&decision.reason)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(fault)?;
    let Some(user) = user else {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM dead_letters WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(fault)?;
        call.answered();
        return Err(match state {
            Some(state) => Refusal::field("letterId", format!("is {state}")).into(),
            None => Refusal::NotFound.into(),
        });
    };
    if let Some(user) = user {
        let detail = json!({ "letter": id });
        let operation = Operation {
            user: Some(user),
            action: action.audit_action(),
            decision,
            key: None,
            detail: Some(&detail),
        };
        audit::insert(&mut transaction, admin.clock.new_id(), &operation).await?;
        if action == DeadLetterAction::Discard {
            // `reconcile` lifts the ban of a user who was unknown but is in Postgres by now. After a retry the leader does this.
            let update = sqlx::query("UPDATE users SET restricted_at = now() WHERE id = $1").bind(user);
            update.execute(&mut *transaction).await.map_err(fault)?;
        }
    }
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(action.audit_action(), user, Some(&json!({ "letter": id })));
    Ok(action.state())
}

/// Requests a retry of all waiting dead letters, for use after their cause was fixed. Returns their number.
///
/// # Errors
/// Postgres is unavailable.
pub async fn retry_all_dead_letters(admin: &Admin, decision: &Decision) -> Result<usize> {
    let query_name = "decide_dead_letters";
    let query = sqlx::query_scalar("SELECT id FROM dead_letters WHERE state = 'waiting' ORDER BY id");
    let ids: Vec<i64> = timed(&admin.metrics, query_name, query.fetch_all(&admin.database))
        .await
        .map_err(|error| sql_fault(query_name, error))?;
    let mut count = 0;
    for id in ids {
        match decide_dead_letter(admin, id, DeadLetterAction::Retry, decision).await {
            Ok(_) => count += 1,
            // Another admin decided in the meantime.
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Number of a user's open dead letters. The user may be missing in Postgres.
///
/// # Errors
/// Postgres is unavailable.
pub async fn count_dead_letters(admin: &Admin, user: Uuid) -> Result<i64> {
    let query_name = "count_user_dead_letters";
    let sql = "SELECT count(*) FROM dead_letters WHERE user_id = $1 AND state IN ('waiting', 'retrying')";
    let query = sqlx::query_scalar(sql).bind(user).fetch_one(&admin.database);
    timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error).into())
}
