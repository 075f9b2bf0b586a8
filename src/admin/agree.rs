//! Redis is made to hold what Postgres decided of a user.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::adjust::{Changed, outcome};
use super::audit;
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{begin, contenders, finish, sql_fault};
use crate::store::{Adjust, NotDone, Restrict};

/// What an operator hears whose decision waits for Redis.
const DECIDED: &str = "It is decided, and takes effect as soon as the board is open again";

/// Makes Redis hold what Postgres says of a user. The row's lock keeps two who decide at once from telling Redis in the wrong
/// order. Returns what was voided, if something was that the ledger does not have yet.
pub(super) async fn agree(app: &App, user: Uuid) -> Result<Option<Changed>> {
    let doing = "read a user's restrictions";
    let candidates = contenders(app, user).await?;
    let newest = app.store.newest_entry(app.store.shard_number(user)).await?;
    let call = app.metrics.postgres(doing);
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
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
    .map_err(|error| sql_fault(doing, error))?;
    call.answered();
    let voids: Option<Uuid> = row.get("voids_id");
    let it = Restrict {
        user,
        banned: row.get("banned"),
        quarantined: row.get("quarantined"),
        held: row.get::<i64, _>("held").max(0) as u64,
        event_id: app.clock.new_id(),
        publish_interval_ms: app.config.live.publish_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let voided = match voids {
        None => None,
        Some(id) => take_away(app, &mut transaction, id, &row, &it, newest.as_deref()).await?,
    };
    let it = Restrict { quarantined: it.quarantined && voids.is_none(), ..it };
    let mended = app.store.apply_restrictions(&it).await?.map_err(|_| Refusal::Unavailable(DECIDED))?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    finish(app, user, mended).await?;
    Ok(voided)
}

/// Runs the event that voids; one that ran before is answered again, or finds nobody aside any more. That the user is not set aside
/// any more is for the ledger to say, when it has the event: Redis may lose it until then. `newest` was the newest entry of the
/// outbox before the user's row was locked.
async fn take_away(
    app: &App,
    connection: &mut PgConnection,
    id: Uuid,
    row: &PgRow,
    restrict: &Restrict<'_>,
    newest: Option<&str>,
) -> Result<Option<Changed>> {
    let note = sqlx::query_scalar(
        "SELECT jsonb_build_object('by', actor, 'why', reason)::text FROM admin_audit WHERE id = $1",
    );
    let note: Option<String> = note
        .bind(id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| sql_fault("read the audit", error))?;
    let it = Adjust {
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
    let mut done = app.store.adjust(&it).await?;
    if done == Err(NotDone::Quarantined)
        && is_written(app, restrict.user, newest).await?
        && !is_dead_letter(connection, id).await?
    {
        // All that was on its way is in the ledger, and the event, whose user is locked, is not: so Redis has lost what it shows.
        let quarantined = Restrict { quarantined: true, ..*restrict };
        app.store.apply_restrictions(&quarantined).await?.map_err(|_| Refusal::Unavailable(DECIDED))?;
        done = app.store.adjust(&it).await?;
    }
    match done {
        Ok(adjusted) => {
            audit::complete(app, &mut *connection, id, outcome(&adjusted)).await?;
            Ok(Some(Changed { event_id: id, before: adjusted.before, after: adjusted.after }))
        }
        Err(NotDone::Quarantined) => Ok(None),
        Err(_) => Err(Refusal::Unavailable(DECIDED).into()),
    }
}

/// Whether Redis has done an event that could not be written to the ledger, and waits for an operator.
async fn is_dead_letter(connection: &mut PgConnection, id: Uuid) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM dead_letters WHERE event_id = $1 AND in_redis AND state IN ('waiting', 'retrying'))";
    let asked = sqlx::query_scalar(sql).bind(id).fetch_one(connection).await;
    Ok(asked.map_err(|error| sql_fault("look for a dead letter", error))?)
}

async fn is_written(app: &App, user: Uuid, newest: Option<&str>) -> Result<bool> {
    match newest {
        None => Ok(true),
        Some(newest) => Ok(app.store.is_written_to(app.store.shard_number(user), newest).await?),
    }
}
