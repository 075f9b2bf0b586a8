//! Voids held points. The user stays quarantined in Postgres until the ledger has the event (`ledger/outbox/write.rs`), so a Redis that
//! loses it gets the void again and shows nothing meanwhile.

use serde_json::json;
use uuid::Uuid;

use super::apply::apply;
use super::audit::{self, Operation, Rejection};
use super::restrict::lock_user;
use super::{Adjustment, Decision};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{begin, sql_fault};

/// Removes the held points of a quarantined user and ends the quarantine. Returns the total before and after. With a key, the operation
/// happens or is rejected once per actor.
///
/// # Errors
/// The user is not quarantined; the key was used for another operation; a store is unavailable. If it is Redis, the decision stands and
/// takes effect when Redis is back.
pub async fn void(
    app: &App,
    user: Uuid,
    key: Option<&str>,
    decision: &Decision,
) -> Result<Option<Adjustment>> {
    let doing = "void_held_points";
    let call = app.metrics.postgres(doing);
    let fault = |error| sql_fault(doing, error);
    let id = app.clock.new_id();
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(fault)?;
    let locked = lock_user(&mut transaction, user).await?;
    let operation = Operation { user, action: "void", decision, key, detail: None };
    if !audit::insert(&mut transaction, id, &operation).await? {
        let first = audit::find_by_key(&mut transaction, &operation).await?;
        let rejection = audit::lock(app, &mut transaction, first).await?;
        call.answered();
        drop(transaction);
        return match rejection {
            Some(rejection) => Err(rejection.refusal().into()),
            None => outcome(app, user, first).await,
        };
    }
    // A void in progress is merged with this one. After a finished one there are no held points.
    let is_rejected = match locked.voids {
        Some(event) => audit::find_outcome(&mut transaction, event).await?.is_some(),
        None => !locked.quarantined,
    };
    if is_rejected {
        audit::add_outcome(app, &mut *transaction, id, Rejection::NotQuarantined.detail()).await?;
    } else if let Some(event) = locked.voids {
        audit::add_outcome(app, &mut *transaction, id, json!({ "joins": event })).await?;
    } else {
        let sql = "UPDATE users SET voids_id = $2, restricted_at = now() WHERE id = $1";
        sqlx::query(sql).bind(user).bind(id).execute(&mut *transaction).await.map_err(fault)?;
    }
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(
        operation.action,
        Some(user),
        is_rejected.then(|| Rejection::NotQuarantined.detail()).as_ref(),
    );
    if is_rejected {
        return Err(Rejection::NotQuarantined.refusal().into());
    }
    outcome(app, user, id).await
}

/// The outcome of a void. Applies it if that has not happened yet.
async fn outcome(app: &App, user: Uuid, id: Uuid) -> Result<Option<Adjustment>> {
    let doing = "find_void";
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    let event = audit::find_joined(&mut connection, id).await?.unwrap_or(id);
    if let Some(adjustment) = audit::find_outcome(&mut connection, event).await? {
        return Ok(Some(adjustment));
    }
    // `apply` needs connections of its own.
    drop(connection);
    if let Some(adjustment) = apply(app, user).await? {
        return Ok(Some(adjustment));
    }
    // The ledger was faster.
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    audit::find_outcome(&mut connection, event).await
}
