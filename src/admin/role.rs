//! Roles, and finding the user that an admin means.

use super::Decision;
use super::audit::{self, Operation};
use super::restrict::lock_user;
use crate::account::{self, Identity, User, UserRef};
use crate::admin::Admin;
use crate::db::{begin, sql_fault};
use crate::error::{Refusal, Result};

/// Checks the admin role in Postgres. The login's claim is not enough: revoking a role takes effect at once.
///
/// # Errors
/// The caller is not an admin or is banned; Postgres is unavailable.
pub async fn require_admin(admin: &Admin, caller: &Identity) -> Result<()> {
    match account::is_admin(&admin.accounts, caller.user).await? {
        true => Ok(()),
        false => Err(Refusal::NotAdmin.into()),
    }
}

/// Finds a user by number, UUID or name.
///
/// # Errors
/// There is no such user; Postgres is unavailable.
pub async fn find_user(admin: &Admin, text: &str) -> Result<User> {
    let user = UserRef::parse(text).map_err(|_| Refusal::UserNotFound)?;
    account::find(&admin.accounts, user).await?.ok_or(Refusal::UserNotFound.into())
}

/// Grants or revokes the admin role. The audit row comes first: a trigger adds one for a role that changes without it
/// (`audit_role` in `migrations/0001_baseline.sql`).
///
/// # Errors
/// Postgres is unavailable; nothing was changed.
pub async fn grant(admin: &Admin, user: &User, is_admin: bool, decision: &Decision) -> Result<()> {
    let query_name = "grant_role";
    let call = admin.metrics.postgres(query_name);
    let (role, action) = if is_admin { ("admin", "grant") } else { ("player", "revoke") };
    let mut transaction =
        begin(&admin.database, "BEGIN").await.map_err(|error| sql_fault(query_name, error))?;
    lock_user(&mut transaction, user.id).await?;
    let operation = Operation { user: Some(user.id), action, decision, key: None, detail: None };
    audit::insert(&mut transaction, admin.clock.new_id(), &operation).await?;
    sqlx::query("UPDATE users SET role = $2, updated_at = now() WHERE id = $1")
        .bind(user.id)
        .bind(role)
        .execute(&mut *transaction)
        .await
        .map_err(|error| sql_fault(query_name, error))?;
    transaction.commit().await.map_err(|error| sql_fault(query_name, error))?;
    call.answered();
    decision.log(action, Some(user.id), None);
    Ok(())
}
