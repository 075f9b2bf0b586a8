//! Bans, and users who are set aside.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Decision;
use super::agree::agree;
use super::audit::{self, Meant};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{begin, sql_fault};

/// How long a decision waits for the ledger to write a void that came before it.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// Off every board, no awards, sockets closed.
    Ban,
    /// Back, with the score.
    Unban,
    /// Awards are taken, but not shown.
    Quarantine,
    /// What was held is shown.
    Approve,
}

impl Restriction {
    /// As it stands in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Quarantine => "quarantine",
            Self::Approve => "approve",
        }
    }

    /// Whether it decides about what a void takes away.
    fn is_about_held(self) -> bool {
        matches!(self, Self::Quarantine | Self::Approve)
    }

    /// A mark of held points that is left over from an earlier time ends where a new one begins.
    fn sql(self) -> &'static str {
        match self {
            Self::Ban => {
                "UPDATE users SET banned_at = coalesce(banned_at, now()), restricted_at = now() WHERE id = $1"
            }
            Self::Unban => "UPDATE users SET banned_at = NULL, restricted_at = now() WHERE id = $1",
            Self::Quarantine => {
                "WITH turned AS (UPDATE users SET quarantined_at = now(), restricted_at = now()
                                 WHERE id = $1 AND quarantined_at IS NULL RETURNING id)
                 UPDATE score_history SET held = FALSE FROM turned WHERE user_id = turned.id AND held"
            }
            Self::Approve => "UPDATE users SET quarantined_at = NULL, restricted_at = now() WHERE id = $1",
        }
    }
}

/// Decides, and makes Redis agree. Under a key an actor decides once, however often it is repeated.
///
/// # Errors
/// The key was used for something else; a store is away. If it is Redis, the decision stands, and takes effect when Redis is back. If
/// a void that was decided before is not in the ledger yet, nothing was decided: a repeat goes on.
pub async fn restrict(
    app: &App,
    user: Uuid,
    restriction: Restriction,
    key: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    for _ in 0..TRIES {
        if decide(app, user, restriction, key, decision).await? {
            return agree(app, user).await.map(drop);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Refusal::Unavailable(VOIDING).into())
}

const VOIDING: &str = "What was held is still being voided, please try again";

/// Returns whether it is decided, which it is not while a void waits for the ledger and this is about the same points: until then
/// the user counts as set aside, so that a Redis which loses the void shows nothing.
async fn decide(
    app: &App,
    user: Uuid,
    restriction: Restriction,
    key: Option<&str>,
    decision: &Decision,
) -> Result<bool> {
    let doing = "restrict a user";
    let call = app.metrics.postgres(doing);
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    let known = lock_user(&mut transaction, user).await?;
    let meant = Meant { user, action: restriction.as_str(), decision, key, detail: None };
    let is_new = audit::note(&mut transaction, app.clock.new_id(), &meant).await?;
    if is_new {
        if restriction.is_about_held() && known.voids.is_some() {
            call.answered();
            return Ok(false);
        }
        sqlx::query(restriction.sql())
            .bind(user)
            .execute(&mut *transaction)
            .await
            .map_err(|error| sql_fault(doing, error))?;
    } else {
        audit::under_key(&mut transaction, &meant).await?;
    }
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    call.answered();
    if is_new {
        decision.log(meant.action, Some(user), None);
    }
    Ok(true)
}

/// What Postgres says of a user whose row is locked.
pub(super) struct Known {
    /// Whether the user is set aside, or will be no more as soon as a void is in the ledger.
    pub quarantined: bool,
    /// The event that voids, until the ledger has it.
    pub voids: Option<Uuid>,
}

/// Locks a user's row ahead of whatever else a transaction writes: a row of the audit locks it too, and whoever locks it twice could
/// meet another who waits in between.
pub(super) async fn lock_user(connection: &mut PgConnection, user: Uuid) -> Result<Known> {
    let sql = "SELECT quarantined_at IS NOT NULL AS quarantined, voids_id FROM users WHERE id = $1 FOR NO KEY UPDATE";
    let row = sqlx::query(sql).bind(user).fetch_one(connection).await;
    let row = row.map_err(|error| sql_fault("lock a user", error))?;
    Ok(Known { quarantined: row.get("quarantined"), voids: row.get("voids_id") })
}
