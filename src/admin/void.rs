//! Held points that an operator takes away. The user stays set aside in Postgres until the ledger has the event that voids
//! (`ledger/write.rs`), so a Redis that loses it is made to void again, and shows nothing meanwhile.

use serde_json::json;
use uuid::Uuid;

use super::agree::agree;
use super::audit::{self, Meant, Refused};
use super::restrict::lock_user;
use super::{Changed, Decision};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{begin, sql_fault};

/// Takes away what is held of a user who is set aside, which ends that too. Returns the total before and after. Under a key an actor
/// does it once, however often it is repeated, or is refused once.
///
/// # Errors
/// The user is not set aside; the key was used for something else; a store is away. If it is Redis, the decision stands, and takes
/// effect when Redis is back.
pub async fn void(app: &App, user: Uuid, key: Option<&str>, decision: &Decision) -> Result<Option<Changed>> {
    let doing = "void what is held";
    let call = app.metrics.postgres(doing);
    let fault = |error| sql_fault(doing, error);
    let id = app.clock.new_id();
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(fault)?;
    let known = lock_user(&mut transaction, user).await?;
    let meant = Meant { user, action: "void", decision, key, detail: None };
    if !audit::note(&mut transaction, id, &meant).await? {
        let first = audit::under_key(&mut transaction, &meant).await?;
        let refused = audit::lock(app, &mut transaction, first).await?;
        call.answered();
        drop(transaction);
        return match refused {
            Some(refused) => Err(refused.refusal().into()),
            None => outcome(app, user, first).await,
        };
    }
    // One that is under way is joined; one whose outcome is known left nothing to take away.
    let refused = match known.voids {
        Some(event) => audit::changed(&mut transaction, event).await?.is_some(),
        None => !known.quarantined,
    };
    if refused {
        audit::complete(app, &mut *transaction, id, Refused::NotQuarantined.detail()).await?;
    } else if let Some(event) = known.voids {
        audit::complete(app, &mut *transaction, id, json!({ "joins": event })).await?;
    } else {
        let sql = "UPDATE users SET voids_id = $2, restricted_at = now() WHERE id = $1";
        sqlx::query(sql).bind(user).bind(id).execute(&mut *transaction).await.map_err(fault)?;
    }
    transaction.commit().await.map_err(fault)?;
    call.answered();
    decision.log(meant.action, Some(user), refused.then(|| Refused::NotQuarantined.detail()).as_ref());
    if refused {
        return Err(Refused::NotQuarantined.refusal().into());
    }
    outcome(app, user, id).await
}

/// What came of a void that was decided, which is done now if it is not done yet.
async fn outcome(app: &App, user: Uuid, id: Uuid) -> Result<Option<Changed>> {
    let doing = "look up what was voided";
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    let event = audit::joined(&mut connection, id).await?.unwrap_or(id);
    if let Some(changed) = audit::changed(&mut connection, event).await? {
        return Ok(Some(changed));
    }
    // It wants connections of its own.
    drop(connection);
    if let Some(changed) = agree(app, user).await? {
        return Ok(Some(changed));
    }
    // The ledger was quicker.
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault(doing, error))?;
    audit::changed(&mut connection, event).await
}
