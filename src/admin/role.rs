//! Who may do what here.

use sqlx::Row;

use super::Decision;
use super::audit::{self, Meant};
use super::restrict::lock_user;
use crate::account::{self, Identity, User, UserRef};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{begin, sql_fault, timed};

/// Lets admins in. The login's own claim is not enough: a role that was taken back holds at once.
///
/// # Errors
/// The caller is none, or is banned; Postgres is away.
pub async fn require_admin(app: &App, caller: &Identity) -> Result<()> {
    let doing = "look up a role";
    let asked = sqlx::query("SELECT role = 'admin' AND banned_at IS NULL AS admin FROM users WHERE id = $1")
        .bind(caller.user);
    let row = timed(&app.metrics, doing, asked.fetch_optional(&app.database)).await;
    match row.map_err(|error| sql_fault(doing, error))? {
        Some(row) if row.get("admin") => Ok(()),
        _ => Err(Refusal::NotAdmin.into()),
    }
}

/// The user that a number, a UUID or a name means.
///
/// # Errors
/// There is none; Postgres is away.
pub async fn find_user(app: &App, text: &str) -> Result<User> {
    let user = UserRef::parse(text).map_err(|_| Refusal::UserNotFound)?;
    account::find(app, user).await?.ok_or(Refusal::UserNotFound.into())
}

/// Makes a user an admin, or a player again. The audit's row comes first: the database adds one for a role that is changed without
/// (`migrations/contract/0017_audit.sql`).
///
/// # Errors
/// Postgres is away; nothing was changed.
pub async fn grant(app: &App, user: &User, admin: bool, decision: &Decision) -> Result<()> {
    let doing = "grant a role";
    let call = app.metrics.postgres(doing);
    let (role, deed) = if admin { ("admin", "grant") } else { ("player", "revoke") };
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    lock_user(&mut transaction, user.id).await?;
    let meant = Meant { user: user.id, action: deed, decision, key: None, detail: None };
    audit::note(&mut transaction, app.clock.new_id(), &meant).await?;
    sqlx::query("UPDATE users SET role = $2, updated_at = now() WHERE id = $1")
        .bind(user.id)
        .bind(role)
        .execute(&mut *transaction)
        .await
        .map_err(|error| sql_fault(doing, error))?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    call.answered();
    decision.log(deed, Some(user.id), None);
    Ok(())
}
