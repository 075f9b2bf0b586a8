//! A total that an operator changes. What is meant is written to the audit first, under the event's id; so a change that was cut
//! short can be repeated under its key, and is done once. The audit's row is locked while it is done, so of those who repeat it at
//! once, on whichever nodes, one does it and the others find what came of it.

use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Decision;
use super::audit::{self, Meant, Refused};
use crate::account::User;
use crate::app::App;
use crate::award::CLOSED;
use crate::error::{Refusal, Result};
use crate::ledger::{AGAIN_WITHIN_DAYS, begin, contenders, finish, sql_fault, timed};
use crate::store::{Adjust, Adjusted, NotDone};

/// A total that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The event in the ledger.
    pub event_id: Uuid,
    /// The total before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// Changes a total by some points, below 0 to take away, as an event of its own in the ledger. The same key of the same actor is
/// done once, or refused once; a repeat gets the first answer.
///
/// # Errors
/// The total would leave its range; the user is set aside; the key was used for something else; a store is away: a repeat under the
/// same key goes on.
pub async fn adjust(
    app: &App,
    user: &User,
    points: i64,
    key: Option<&str>,
    decision: &Decision,
) -> Result<Changed> {
    if points == 0 {
        // It would put the user behind everybody who has as much, as if the score had been reached just now.
        return Err(Refusal::field("points", "must not be 0").into());
    }
    let detail = json!({ "points": points });
    let meant = Meant { user: user.id, action: "adjust", decision, key, detail: Some(&detail) };
    let event_id = intend(app, &meant).await?;
    // Asked for ahead of the transaction: they need connections of their own, and may wait for the ledger.
    let candidates = contenders(app, user.id).await?;
    let it = Adjust {
        user: user.id,
        number: user.number,
        username: &user.username,
        event_id,
        points: Some(points),
        note: &note(decision),
        publish_interval_ms: app.config.live.publish_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let doing = "adjust a total";
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    if let Some(refused) = audit::lock(app, &mut transaction, event_id).await? {
        return Err(refused.refusal().into());
    }
    if let Some((before, after)) = written(app, &mut transaction, event_id).await? {
        return Ok(Changed { event_id, before, after });
    }
    // Below the lock alone: nobody else may do, or refuse, the event between the looks above and what the audit says of it below.
    let adjusted = match app.store.adjust(&it).await? {
        Ok(adjusted) => Ok(adjusted),
        // Neither done nor refused: a repeat goes on.
        Err(NotDone::Unavailable) => return Err(Refusal::Unavailable(CLOSED).into()),
        // The script looks for the event first, so neither Redis nor the ledger has it.
        Err(NotDone::OutOfRange) => Err(Refused::OutOfRange),
        Err(NotDone::Quarantined) => Err(Refused::Quarantined),
    };
    let detail = adjusted.as_ref().map_or_else(|refused| refused.detail(), outcome);
    audit::complete(app, &mut *transaction, event_id, detail.clone()).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    decision.log(meant.action, Some(user.id), Some(&detail));
    let adjusted = adjusted.map_err(Refused::refusal)?;
    finish(app, user.id, adjusted.top).await?;
    Ok(Changed { event_id, before: adjusted.before, after: adjusted.after })
}

/// Who and why, as the ledger keeps it.
pub(super) fn note(decision: &Decision) -> String {
    json!({ "by": decision.actor, "why": decision.reason }).to_string()
}

/// What came of it, as the audit keeps it.
pub(super) fn outcome(adjusted: &Adjusted) -> Value {
    json!({ "before": adjusted.before, "after": adjusted.after })
}

/// The event's id: a new one, or the one that the key stands for.
async fn intend(app: &App, meant: &Meant<'_>) -> Result<Uuid> {
    let doing = "note an adjustment";
    let call = app.metrics.postgres(doing);
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    let id = app.clock.new_id();
    let is_new = audit::note(&mut connection, id, meant).await?;
    let id = if is_new { id } else { audit::under_key(&mut connection, meant).await? };
    call.answered();
    Ok(id)
}

/// The totals before and after, if the ledger has the event; or had it, in a month that was detached, which is never younger. The
/// audit and the ledger go by two clocks: a day is for these.
async fn written(app: &App, connection: &mut PgConnection, event_id: Uuid) -> Result<Option<(u64, u64)>> {
    let sql = "SELECT score_before, score_after FROM score_history WHERE event_id = $1
               UNION ALL
               SELECT (detail->>'before')::bigint, (detail->>'after')::bigint FROM admin_audit
               WHERE id = $1 AND detail ? 'after' AND created_at < now() - make_interval(days => $2)
               LIMIT 1";
    let doing = "look up an event";
    let asked = sqlx::query(sql).bind(event_id).bind(AGAIN_WITHIN_DAYS - 1).fetch_optional(connection);
    let row = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    Ok(row.map(|row| (row.get::<i64, _>("score_before") as u64, row.get::<i64, _>("score_after") as u64)))
}
