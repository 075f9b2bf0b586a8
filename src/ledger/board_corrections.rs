//! Decisions about users that change boards. The follower of the boards computes such a user's entries again.

use sqlx::PgConnection;
use uuid::Uuid;

/// Notes that a decision (`ban`, `unban`, `quarantine`, `approve` or `void`) changes which of the user's awards count. The caller's
/// transaction makes the decision true, so boards follow every decision that was made, and none that was not.
///
/// # Errors
/// Postgres is unavailable or rejects the data.
pub async fn record(
    transaction: &mut PgConnection,
    user: Uuid,
    action: &str,
    actor: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO board_corrections (user_id, action, actor, reason) VALUES ($1, $2, $3, $4)")
        .bind(user)
        .bind(action)
        .bind(actor)
        .bind(reason)
        .execute(transaction)
        .await
        .map(drop)
}
