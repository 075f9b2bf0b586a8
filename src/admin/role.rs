//! Roles, and finding the user that an admin means.

use sqlx::Row;

use super::Decision;
use super::audit::{self, Operation};
use super::restrict::lock_user;
use crate::account::{self, Identity, User, UserRef};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{begin, sql_fault, timed};

/// Checks the admin role in Postgres. The login's claim is not enough: revoking a role takes effect at once.
///
/// # Errors
/// The caller is not an admin or is banned; Postgres is unavailable.
pub async fn require_admin(app: &App, caller: &Identity) -> Result<()> {
    let doing = "find_role";
    let query = sqlx::query("SELECT role = 'admin' AND banned_at IS NULL AS admin FROM users WHERE id = $1")
        .bind(caller.user);
    let row = timed(&app.metrics, doing, query.fetch_optional(&app.database)).await;
    match row.map_err(|error| sql_fault(doing, error))? {
        Some(row) if row.get("admin") => Ok(()),
        _ => Err(Refusal::NotAdmin.into()),
    }
}

/// Finds a user by number, UUID or name.
///
/// # Errors
/// There is no such user; Postgres is unavailable.
pub async fn find_user(app: &App, text: &str) -> Result<User> {
    let user = UserRef::parse(text).map_err(|_| Refusal::UserNotFound)?;
    account::find(app, user).await?.ok_or(Refusal::UserNotFound.into())
}

/// Grants or revokes the admin role. The audit row comes first: a trigger adds one for a role that changes without it
/// (`audit_role` in `migrations/0001_baseline.sql`).
///
/// # Errors
/// Postgres is unavailable; nothing was changed.
pub async fn grant(app: &App, user: &User, admin: bool, decision: &Decision) -> Result<()> {
    let doing = "grant_role";
    let call = app.metrics.postgres(doing);
    let (role, action) = if admin { ("admin", "grant") } else { ("player", "revoke") };
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    lock_user(&mut transaction, user.id).await?;
    let operation = Operation { user: user.id, action, decision, key: None, detail: None };
    audit::insert(&mut transaction, app.clock.new_id(), &operation).await?;
    sqlx::query("UPDATE users SET role = $2, updated_at = now() WHERE id = $1")
        .bind(user.id)
        .bind(role)
        .execute(&mut *transaction)
        .await
        .map_err(|error| sql_fault(doing, error))?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    call.answered();
    decision.log(action, Some(user.id), None);
    Ok(())
}
