//! A total that an operator changes, or held points that one takes away.

use serde_json::json;
use uuid::Uuid;

use super::restrict::{agree, show};
use super::{Decision, audit};
use crate::account::User;
use crate::app::App;
use crate::award::CLOSED;
use crate::error::{Refusal, Result};
use crate::ledger::{contenders, sql_fault};
use crate::store::{Adjust, Adjusted, NotDone};

/// How a total changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By some points, below 0 to take away.
    By(i64),
    /// What is held of somebody who was set aside is taken away, and the user is no longer aside.
    Void,
}

/// Changes a total by an event of its own in the ledger. `event_id` makes a repeat harmless.
///
/// # Errors
/// The total would leave its range; the user is set aside, or not, against what the change needs; it was done before; a store
/// is away.
pub async fn adjust(
    app: &App,
    user: &User,
    change: Change,
    event_id: Uuid,
    decision: &Decision,
) -> Result<Adjusted> {
    let points = match change {
        // It would put the user behind everybody who has as much, as if the score had been reached just now.
        Change::By(0) => return Err(Refusal::field("points", "must not be 0").into()),
        Change::By(points) => Some(points),
        Change::Void => None,
    };
    let candidates = contenders(app, user.id).await?;
    let it = Adjust {
        user: user.id,
        number: user.number,
        username: &user.username,
        event_id,
        points,
        note: &json!({ "by": decision.actor, "why": decision.reason }).to_string(),
        publish_window_ms: app.config.live.min_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let adjusted = app.store.adjust(&it).await?.map_err(refuse)?;
    note(app, user.id, change, event_id, decision, &adjusted).await?;
    show(app, adjusted.ten).await?;
    if change == Change::Void || !adjusted.ten.whole {
        agree(app, user.id).await?;
    }
    Ok(adjusted)
}

fn refuse(why: NotDone) -> Refusal {
    match why {
        NotDone::Unavailable => Refusal::Unavailable(CLOSED),
        NotDone::OutOfRange => Refusal::field("points", "would take the total below 0 or above 2^53 - 1"),
        NotDone::Aside => {
            Refusal::field("userId", "confirm or void what is held first; and nothing else can be voided")
        }
        NotDone::Again => Refusal::AlreadyExists { field: "Idempotency-Key" },
    }
}

/// The ledger's own entry has who and why as well; so nothing is lost if this row is.
async fn note(
    app: &App,
    user: Uuid,
    change: Change,
    event_id: Uuid,
    decision: &Decision,
    adjusted: &Adjusted,
) -> Result<()> {
    let doing = "write the audit";
    let detail = json!({ "event": event_id, "before": adjusted.before, "after": adjusted.after });
    let mut transaction = app.database.begin().await.map_err(|error| sql_fault(doing, error))?;
    let deed = match change {
        Change::By(_) => "adjust",
        Change::Void => {
            sqlx::query("UPDATE users SET aside_at = NULL, restricted_at = now() WHERE id = $1")
                .bind(user)
                .execute(&mut *transaction)
                .await
                .map_err(|error| sql_fault(doing, error))?;
            "void"
        }
    };
    audit::note(&mut transaction, app.clock.new_id(), user, deed, decision, Some(detail)).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error).into())
}
