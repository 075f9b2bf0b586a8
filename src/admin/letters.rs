//! Dead letters: what operators see of entries that could not be written to the ledger, and what they decide. The rows keep who and
//! why themselves, since Postgres may not know the user; of one whom it knows, the audit has it too.

use serde_json::json;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::audit::Meant;
use super::{Decision, audit};
use crate::app::App;
use crate::error::{Error, Refusal, Result};
use crate::ledger::{begin, sql_fault, timed};

/// An entry that could not be written to the ledger.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// When it was put aside, in ms since the Unix epoch.
    pub at_ms: i64,
    /// Its place in the outbox.
    pub stream_id: String,
    /// The event's id, if it can be read.
    pub event_id: Option<Uuid>,
    /// Whose it is, if it can be read.
    pub user: Option<Uuid>,
    /// The user's number and name, if Postgres knows the user.
    pub known: Option<(i64, String)>,
    /// `awarded`, `issued`, …, if it can be read.
    pub kind: Option<String>,
    /// What it moved, if it moved a total.
    pub points: Option<i64>,
    /// `unknown_user`, `unreadable` or `refused`.
    pub reason: String,
    /// The words of it.
    pub detail: String,
    /// The entry as it lay in the outbox; what is no UTF-8 in it is replaced.
    pub entry: String,
    /// `waiting`, `retrying`, `written` or `discarded`.
    pub state: String,
    /// Whether Redis still has what it moved.
    pub in_redis: bool,
    /// Who decided last, and why.
    pub decided: Option<(String, String)>,
}

/// What becomes of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The leader writes it again, within a second.
    Retry,
    /// Nothing.
    Discard,
}

impl Fate {
    fn state(self) -> &'static str {
        match self {
            Self::Retry => "retrying",
            Self::Discard => "discarded",
        }
    }

    fn deed(self) -> &'static str {
        match self {
            Self::Retry => "retry_letter",
            Self::Discard => "discard_letter",
        }
    }
}

/// The newest dead letters: those that wait, or all.
///
/// # Errors
/// Postgres is away.
pub async fn dead_letters(app: &App, all: bool, limit: u32) -> Result<Vec<DeadLetter>> {
    let doing = "read dead letters";
    let asked = sqlx::query(
        "SELECT l.*, (extract(epoch FROM l.created_at) * 1000)::bigint AS at_ms, u.number, u.username
         FROM dead_letters l LEFT JOIN users u ON u.id = l.user_id
         WHERE $1 OR l.state IN ('waiting', 'retrying') ORDER BY l.id DESC LIMIT $2",
    )
    .bind(all)
    .bind(i64::from(limit));
    let rows = timed(&app.metrics, doing, asked.fetch_all(&app.database)).await;
    Ok(rows.map_err(|error| sql_fault(doing, error))?.iter().map(read).collect())
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
        decided: row.get::<Option<String>, _>("decided_by").zip(row.get("decided_why")),
    }
}

/// Decides what becomes of a dead letter that waits; one that is being tried again can still be discarded. Returns its state.
///
/// # Errors
/// There is none, or it does not wait; Postgres is away.
pub async fn decide(app: &App, id: i64, fate: Fate, decision: &Decision) -> Result<&'static str> {
    let doing = "decide about a dead letter";
    let fault = |error| sql_fault(doing, error);
    let call = app.metrics.postgres(doing);
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(fault)?;
    let user: Option<Option<Uuid>> = sqlx::query_scalar(
        "UPDATE dead_letters SET state = $2, decided_at = now(), decided_by = $3, decided_why = $4
         WHERE id = $1 AND (state = 'waiting' OR (state = 'retrying' AND $2 = 'discarded'))
         RETURNING (SELECT id FROM users WHERE users.id = user_id)",
    )
    .bind(id)
    .bind(fate.state())
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
        let meant = Meant { user, action: fate.deed(), decision, key: None, detail: Some(&detail) };
        audit::note(&mut transaction, app.clock.new_id(), &meant).await?;
        if fate == Fate::Discard {
            // Whoever was banned as unknown, and is known by now, is looked at again; of a retry the leader sees to that.
            let looked_at = sqlx::query("UPDATE users SET restricted_at = now() WHERE id = $1").bind(user);
            looked_at.execute(&mut *transaction).await.map_err(fault)?;
        }
    }
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(fate.deed(), user, Some(&json!({ "letter": id })));
    Ok(fate.state())
}

/// Marks all that wait to be written again, where something that kept them from it was mended. Returns how many.
///
/// # Errors
/// Postgres is away.
pub async fn retry_all(app: &App, decision: &Decision) -> Result<usize> {
    let doing = "decide about dead letters";
    let asked = sqlx::query_scalar("SELECT id FROM dead_letters WHERE state = 'waiting' ORDER BY id");
    let ids: Vec<i64> = timed(&app.metrics, doing, asked.fetch_all(&app.database))
        .await
        .map_err(|error| sql_fault(doing, error))?;
    let mut count = 0;
    for id in ids {
        match decide(app, id, Fate::Retry, decision).await {
            Ok(_) => count += 1,
            // Somebody else has decided meanwhile.
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// How many dead letters wait of a user, known or not.
///
/// # Errors
/// Postgres is away.
pub async fn letters_of(app: &App, user: Uuid) -> Result<i64> {
    let doing = "count a user's dead letters";
    let sql = "SELECT count(*) FROM dead_letters WHERE user_id = $1 AND state IN ('waiting', 'retrying')";
    let asked = sqlx::query_scalar(sql).bind(user).fetch_one(&app.database);
    timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error).into())
}
