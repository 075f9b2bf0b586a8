//! Who asks, as far as a board's visibility depends on it.

use uuid::Uuid;

use crate::account::{self, Accounts};
use crate::board::{Viewer, Visibility};
use crate::error::Result;

/// The caller, as far as boards of this visibility depend on it. Only boards for admins cost a query.
///
/// # Errors
/// Postgres is unavailable.
pub async fn viewer(accounts: &Accounts, visibility: Visibility, caller: Option<Uuid>) -> Result<Viewer> {
    Ok(match (caller, visibility) {
        (None, _) => Viewer::Anonymous,
        (Some(user), Visibility::Admins) if account::is_admin(accounts, user).await? => Viewer::Admin,
        (Some(_), _) => Viewer::Player,
    })
}
