//! Bans and quarantines.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Decision;
use super::apply::apply;
use super::audit::{self, Operation};
use crate::admin::Admin;
use crate::db::{begin, sql_fault};
use crate::error::{Refusal, Result};
use crate::ledger::record_board_correction;

/// How long a decision waits for the ledger to write an earlier void: 100 × 20 ms.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// A change of a user's restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// Removes the user from every board, stops awards and closes sockets.
    Ban,
    /// Restores the user with the score.
    Unban,
    /// New awards count but stay off the board.
    Quarantine,
    /// Ends the quarantine and shows the held points.
    Approve,
}

impl Restriction {
    /// The action in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Quarantine => "quarantine",
            Self::Approve => "approve",
        }
    }

    /// Whether it concerns the points that a void removes.
    fn is_about_held(self) -> bool {
        matches!(self, Self::Quarantine | Self::Approve)
    }

    /// Whether it changes anything for this user.
    fn changes(self, user: &LockedUser) -> bool {
        match self {
            Self::Ban => !user.banned,
            Self::Unban => user.banned,
            Self::Quarantine => !user.quarantined,
            Self::Approve => user.quarantined,
        }
    }

    /// A new quarantine removes held marks that are left from an earlier one.
    fn sql(self) -> &'static str {
        match self {
            Self::Ban => {
                "UPDATE users SET banned_at = coalesce(banned_at, now()), restricted_at = now() WHERE id = $1"
            }
            Self::Unban => "UPDATE users SET banned_at = NULL, restricted_at = now() WHERE id = $1",
            Self::Quarantine => {
                "WITH quarantined AS (UPDATE users SET quarantined_at = now(), restricted_at = now()
                                 WHERE id = $1 AND quarantined_at IS NULL RETURNING id)
                 UPDATE score_history SET held = FALSE FROM quarantined WHERE user_id = quarantined.id AND held"
            }
            Self::Approve => "UPDATE users SET quarantined_at = NULL, restricted_at = now() WHERE id = $1",
        }
    }
}

/// Stores the decision and applies it to Redis. With a key, the operation happens once per actor.
///
/// # Errors
/// The key was used for another operation, or a store is unavailable. If it is Redis, the decision stands and takes effect when Redis is
/// back. If an earlier void is not in the ledger yet, nothing was decided, and the caller may try again.
pub async fn restrict(
    admin: &Admin,
    user: Uuid,
    restriction: Restriction,
    key: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    for _ in 0..TRIES {
        if decide(admin, user, restriction, key, decision).await? {
            return apply(admin, user).await.map(drop);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Refusal::Unavailable(VOIDING).into())
}

const VOIDING: &str = "The held points are still being voided. Try again shortly";

/// Returns false while a void of the same points waits for the ledger. Until then the user counts as quarantined, so a Redis that loses the
/// void shows nothing.
async fn decide(
    admin: &Admin,
    user: Uuid,
    restriction: Restriction,
    key: Option<&str>,
    decision: &Decision,
) -> Result<bool> {
    let query_name = "restrict_user";
    let call = admin.metrics.postgres(query_name);
    let mut transaction =
        begin(&admin.database, "BEGIN").await.map_err(|error| sql_fault(query_name, error))?;
    let locked = lock_user(&mut transaction, user).await?;
    let operation = Operation { user: Some(user), action: restriction.as_str(), decision, key, detail: None };
    let is_new = audit::insert(&mut transaction, admin.clock.new_id(), &operation).await?;
    if is_new {
        if restriction.is_about_held() && locked.voids.is_some() {
            call.answered();
            return Ok(false);
        }
        sqlx::query(restriction.sql())
            .bind(user)
            .execute(&mut *transaction)
            .await
            .map_err(|error| sql_fault(query_name, error))?;
        if restriction.changes(&locked) {
            record_board_correction(
                &mut transaction,
                user,
                restriction.as_str(),
                &decision.actor,
                &decision.reason,
            )
            .await
            .map_err(|error| sql_fault(query_name, error))?;
        }
    } else {
        audit::find_by_key(&mut transaction, &operation).await?;
    }
    transaction.commit().await.map_err(|error| sql_fault(query_name, error))?;
    call.answered();
    if is_new {
        decision.log(operation.action, Some(user), None);
    }
    Ok(true)
}

/// State of a user whose row is locked.
pub(super) struct LockedUser {
    banned: bool,
    /// True if quarantined, also while a void waits for the ledger.
    pub quarantined: bool,
    /// The void's event id, until the ledger has it.
    pub voids: Option<Uuid>,
}

/// Locks a user's row before anything else in a transaction. An audit row locks it too (foreign key), and a second, stronger lock later
/// could deadlock with a transaction that waits in between.
pub(super) async fn lock_user(connection: &mut PgConnection, user: Uuid) -> Result<LockedUser> {
    let sql = "SELECT banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined, voids_id
               FROM users WHERE id = $1 FOR NO KEY UPDATE";
    let row = sqlx::query(sql).bind(user).fetch_one(connection).await;
    let row = row.map_err(|error| sql_fault("lock_user", error))?;
    Ok(LockedUser {
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        voids: row.get("voids_id"),
    })
}
