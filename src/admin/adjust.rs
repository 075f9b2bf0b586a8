//! A total that an operator changes. What is meant is written to the audit first, under the event's id; so a change that was cut
//! short can be repeated under its key, and is done once.

use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::{Decision, audit};
use crate::account::User;
use crate::app::App;
use crate::award::CLOSED;
use crate::error::{Refusal, Result};
use crate::ledger::{AGAIN_WITHIN_DAYS, contenders, finish, sql_fault, timed};
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
/// done once; a repeat gets the first answer.
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
    let event_id = intend(app, user.id, points, key, decision).await?;
    if let Some((before, after)) = written(app, event_id).await? {
        return Ok(Changed { event_id, before, after });
    }
    let candidates = contenders(app, user.id).await?;
    let it = Adjust {
        user: user.id,
        number: user.number,
        username: &user.username,
        event_id,
        points: Some(points),
        note: &note(decision),
        publish_window_ms: app.config.live.min_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let adjusted = match app.store.adjust(&it).await? {
        Ok(adjusted) => adjusted,
        Err(why) => {
            // Nothing was done, so nothing was meant.
            audit::forget(app, event_id).await?;
            return Err(refuse(why).into());
        }
    };
    audit::complete(app, &app.database, event_id, outcome(&adjusted)).await?;
    finish(app, user.id, adjusted.ten).await?;
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
async fn intend(app: &App, user: Uuid, points: i64, key: Option<&str>, decision: &Decision) -> Result<Uuid> {
    let id = app.clock.new_id();
    let detail = json!({ "points": points });
    let call = app.metrics.postgres("note an adjustment");
    let is_new = audit::note(&app.database, id, user, "adjust", decision, Some(&detail), key).await?;
    call.answered();
    if is_new {
        return Ok(id);
    }
    let sql = "SELECT id, user_id, detail->>'points' AS points FROM admin_audit WHERE actor = $1 AND idempotency_key = $2";
    let doing = "look up a key";
    let asked = sqlx::query(sql).bind(&decision.actor).bind(key).fetch_one(&app.database);
    let row = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    let same = row.get::<Uuid, _>("user_id") == user
        && row.get::<Option<String>, _>("points").is_some_and(|it| it == points.to_string());
    if same { Ok(row.get("id")) } else { Err(Refusal::IdempotencyMismatch.into()) }
}

/// The totals before and after, if the ledger has the event; or had it, in a month that was detached, which is never younger. The
/// audit and the ledger go by two clocks: a day is for these.
async fn written(app: &App, event_id: Uuid) -> Result<Option<(u64, u64)>> {
    let sql = "SELECT score_before, score_after FROM score_history WHERE event_id = $1
               UNION ALL
               SELECT (detail->>'before')::bigint, (detail->>'after')::bigint FROM admin_audit
               WHERE id = $1 AND detail ? 'after' AND created_at < now() - make_interval(days => $2)
               LIMIT 1";
    let doing = "look up an event";
    let asked = sqlx::query(sql).bind(event_id).bind(AGAIN_WITHIN_DAYS - 1).fetch_optional(&app.database);
    let row = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    Ok(row.map(|row| (row.get::<i64, _>("score_before") as u64, row.get::<i64, _>("score_after") as u64)))
}

fn refuse(why: NotDone) -> Refusal {
    match why {
        NotDone::Unavailable => Refusal::Unavailable(CLOSED),
        NotDone::OutOfRange => Refusal::field("points", "would take the total below 0 or above 2^53 - 1"),
        NotDone::Aside => Refusal::field("userId", "is set aside: confirm or void what is held first"),
    }
}
