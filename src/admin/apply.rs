//! Applies a user's restrictions in Postgres to Redis.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::adjust::{Adjustment, outcome};
use super::audit;
use crate::admin::Admin;
use crate::db::{begin, sql_fault};
use crate::error::{Refusal, Result};
use crate::ledger::{await_top, candidates_for};
use crate::store::{Adjust, AdminRefusal, BoardId, Restrict};

/// The error when a stored decision waits for Redis.
const PENDING: &str = "The decision is stored and takes effect as soon as the board is open again";

/// Applies a user's restrictions to Redis. The row lock keeps concurrent decisions in order. Returns the outcome of a void that the ledger
/// does not have yet.
pub(super) async fn apply(admin: &Admin, user: Uuid) -> Result<Option<Adjustment>> {
    let query_name = "read_user_restrictions";
    let candidates = candidates_for(&admin.ledger, user).await?;
    let newest = admin.store.newest_entry(admin.store.shard_number(user)).await?;
    let call = admin.metrics.postgres(query_name);
    let mut transaction =
        begin(&admin.database, "BEGIN").await.map_err(|error| sql_fault(query_name, error))?;
    let row = sqlx::query(
        "SELECT banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined, voids_id, number, username,
                CASE WHEN quarantined_at IS NULL THEN 0
                     ELSE (SELECT coalesce(sum(points_earned), 0) FROM score_history WHERE user_id = users.id AND held)::bigint
                END AS held
         FROM users WHERE id = $1 FOR UPDATE",
    )
    .bind(user)
    .fetch_one(&mut *transaction)
    .await
    .map_err(|error| sql_fault(query_name, error))?;
    call.answered();
    let voids: Option<Uuid> = row.get("voids_id");
    let restriction = Restrict {
        board: BoardId::GLOBAL,
        user,
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        held: row.get::<i64, _>("held").max(0) as u64,
        event_id: admin.clock.new_id(),
        publish_interval_ms: admin.config.live.publish_interval_ms,
        outbox_max: admin.config.outbox.max_entries,
        candidates: &candidates,
    };
    let voided = match voids {
        None => None,
        Some(id) => void_held(admin, &mut transaction, id, &row, &restriction, newest.as_deref()).await?,
    };
    let restriction = Restrict { quarantined: restriction.quarantined && voids.is_none(), ..restriction };
    let change =
        admin.store.apply_restrictions(&restriction).await?.map_err(|_| Refusal::Unavailable(PENDING))?;
    transaction.commit().await.map_err(|error| sql_fault(query_name, error))?;
    await_top(&admin.ledger, user, change).await?;
    Ok(voided)
}

/// Removes the held points. Repeating it returns the same outcome, or None once the quarantine has ended in Redis. The quarantine ends in
/// Postgres only when the ledger has the event, since Redis may lose it until then. `newest` is the outbox's newest entry before the user's
/// row was locked.
async fn void_held(
    admin: &Admin,
    connection: &mut PgConnection,
    id: Uuid,
    row: &PgRow,
    restrict: &Restrict<'_>,
    newest: Option<&str>,
) -> Result<Option<Adjustment>> {
    let note = sqlx::query_scalar(
        "SELECT jsonb_build_object('actor', actor, 'reason', reason)::text FROM admin_audit WHERE id = $1",
    );
    let note: Option<String> = note
        .bind(id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| sql_fault("read_audit_log", error))?;
    let adjust = Adjust {
        board: BoardId::GLOBAL,
        user: restrict.user,
        number: row.get("number"),
        username: row.get("username"),
        event_id: id,
        points: None,
        note: &note.unwrap_or_default(),
        publish_interval_ms: restrict.publish_interval_ms,
        outbox_max: restrict.outbox_max,
        candidates: &[],
    };
    let mut outcome_in_redis = admin.store.adjust(&adjust).await?;
    if outcome_in_redis == Err(AdminRefusal::Quarantined)
        && is_written(admin, restrict.user, newest).await?
        && !is_dead_letter(connection, id).await?
    {
        // The ledger has everything that was in the outbox, but not the event, whose user is locked. So Redis lost the quarantine.
        let quarantine = Restrict { quarantined: true, ..*restrict };
        admin.store.apply_restrictions(&quarantine).await?.map_err(|_| Refusal::Unavailable(PENDING))?;
        outcome_in_redis = admin.store.adjust(&adjust).await?;
    }
    match outcome_in_redis {
        Ok(adjusted) => {
            audit::add_outcome(admin, &mut *connection, id, outcome(&adjusted)).await?;
            Ok(Some(Adjustment { event_id: id, before: adjusted.before, after: adjusted.after }))
        }
        Err(AdminRefusal::Quarantined) => Ok(None),
        Err(_) => Err(Refusal::Unavailable(PENDING).into()),
    }
}

/// Whether the event is in Redis but could not be written to the ledger and waits for a decision.
async fn is_dead_letter(connection: &mut PgConnection, id: Uuid) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM dead_letters WHERE event_id = $1 AND in_redis AND state IN ('waiting', 'retrying'))";
    let query = sqlx::query_scalar(sql).bind(id).fetch_one(connection).await;
    Ok(query.map_err(|error| sql_fault("find_dead_letter", error))?)
}

async fn is_written(admin: &Admin, user: Uuid, newest: Option<&str>) -> Result<bool> {
    match newest {
        None => Ok(true),
        Some(newest) => Ok(admin.store.is_written_to(admin.store.shard_number(user), newest).await?),
    }
}
