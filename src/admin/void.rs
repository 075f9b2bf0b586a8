//! Voids held points. The user stays quarantined in Postgres until the ledger has the event (`ledger/outbox/write.rs`), so a Redis that
//! loses it gets the void again and shows nothing meanwhile.

use serde_json::json;
use uuid::Uuid;

use super::apply::apply;
use super::audit::{self, Operation, Rejection};
use super::restrict::lock_user;
use super::{Adjustment, Decision};
use crate::admin::Admin;
use crate::db::{begin, sql_fault};
use crate::error::Result;

/// Removes the held points of a quarantined user and ends the quarantine. Returns the total before and after. With a key, the operation
/// happens or is rejected once per actor.
///
/// # Errors
/// The user is not quarantined; the key was used for another operation; a store is unavailable. If it is Redis, the decision stands and
/// takes effect when Redis is back.
pub async fn void(
    admin: &Admin,
    user: Uuid,
    key: Option<&str>,
    decision: &Decision,
) -> Result<Option<Adjustment>> {
    let query_name = "void_held_points";
    let call = admin.metrics.postgres(query_name);
    let fault = |error| sql_fault(query_name, error);
    let id = admin.clock.new_id();
    let mut transaction = begin(&admin.database, "BEGIN").await.map_err(fault)?;
    let locked = lock_user(&mut transaction, user).await?;
    let operation = Operation { user: Some(user), action: "void", decision, key, detail: None };
    if !audit::insert(&mut transaction, id, &operation).await? {
        let first = audit::find_by_key(&mut transaction, &operation).await?;
        let rejection = audit::lock(admin, &mut transaction, first).await?;
        call.answered();
        drop(transaction);
        return match rejection {
            Some(rejection) => Err(rejection.refusal().into()),
            None => outcome(admin, user, first).await,
        };
    }
    // A void in progress is merged with this one. After a finished one there are no held points.
    let is_rejected = match locked.voids {
        Some(event) => audit::find_outcome(&mut transaction, event).await?.is_some(),
        None => !locked.quarantined,
    };
    if is_rejected {
        audit::add_outcome(admin, &mut *transaction, id, Rejection::NotQuarantined.detail()).await?;
    } else if let Some(event) = locked.voids {
        audit::add_outcome(admin, &mut *transaction, id, json!({ "joins": event })).await?;
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
    outcome(admin, user, id).await
}

/// The outcome of a void. Applies it if that has not happened yet.
async fn outcome(admin: &Admin, user: Uuid, id: Uuid) -> Result<Option<Adjustment>> {
    let query_name = "find_void";
    let mut connection = admin.database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
    let event = audit::find_joined(&mut connection, id).await?.unwrap_or(id);
    if let Some(adjustment) = audit::find_outcome(&mut connection, event).await? {
        return Ok(Some(adjustment));
    }
    // `apply` needs connections of its own.
    drop(connection);
    if let Some(adjustment) = apply(admin, user).await? {
        return Ok(Some(adjustment));
    }
    // The ledger was faster.
    let mut connection = admin.database.acquire().await.map_err(|error| sql_fault(query_name, error))?;
    audit::find_outcome(&mut connection, event).await
}
