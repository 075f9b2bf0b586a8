//! Bans, and users who are set aside.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::adjust::{Changed, outcome};
use super::{Decision, audit};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{begin, contenders, finish, sql_fault, timed};
use crate::store::{Adjust, NotDone, Restrict};

/// Longer ago than anything.
const ALL_S: f64 = 1e9;
/// How often Redis is made to agree with what was decided lately.
const EVERY: Duration = Duration::from_secs(2);

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// Off every board, no awards, sockets closed.
    Ban,
    /// Back, with the score.
    Unban,
    /// Awards are taken, but not shown.
    SetAside,
    /// What was held is shown.
    Confirm,
}

impl Restriction {
    /// As it stands in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::SetAside => "set_aside",
            Self::Confirm => "confirm",
        }
    }

    /// A mark of held points that is left over from an earlier time ends where a new one begins.
    fn sql(self) -> &'static str {
        match self {
            Self::Ban => {
                "UPDATE users SET banned_at = coalesce(banned_at, now()), restricted_at = now() WHERE id = $1"
            }
            Self::Unban => "UPDATE users SET banned_at = NULL, restricted_at = now() WHERE id = $1",
            Self::SetAside => {
                "WITH turned AS (UPDATE users SET aside_at = now(), restricted_at = now()
                                 WHERE id = $1 AND aside_at IS NULL RETURNING id)
                 UPDATE score_history SET held = FALSE FROM turned WHERE user_id = turned.id AND held"
            }
            Self::Confirm => {
                "UPDATE users SET aside_at = NULL, restricted_at = now() WHERE id = $1 AND voids_id IS NULL"
            }
        }
    }
}

/// Decides, and makes Redis agree.
///
/// # Errors
/// A store is away. If it is Redis, the decision stands, and takes effect when Redis is back.
pub async fn restrict(app: &App, user: Uuid, restriction: Restriction, decision: &Decision) -> Result<()> {
    let doing = "restrict a user";
    let call = app.metrics.postgres(doing);
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    sqlx::query(restriction.sql())
        .bind(user)
        .execute(&mut *transaction)
        .await
        .map_err(|error| sql_fault(doing, error))?;
    let id = app.clock.new_id();
    audit::note(&mut *transaction, id, user, restriction.as_str(), decision, None, None).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    call.answered();
    agree(app, user).await.map(drop)
}

/// Takes away what is held of a user who is set aside, which ends that too. Returns the total before and after.
///
/// # Errors
/// The user is not set aside; a store is away. If it is Redis, the decision stands, and takes effect when Redis is back.
pub async fn void(app: &App, user: Uuid, decision: &Decision) -> Result<Option<Changed>> {
    let doing = "void what is held";
    let call = app.metrics.postgres(doing);
    let id = app.clock.new_id();
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    let marked = sqlx::query(
        "UPDATE users SET voids_id = coalesce(voids_id, $2), restricted_at = now() WHERE id = $1 AND aside_at IS NOT NULL",
    )
    .bind(user)
    .bind(id)
    .execute(&mut *transaction)
    .await
    .map_err(|error| sql_fault(doing, error))?;
    if marked.rows_affected() == 0 {
        call.answered();
        return Err(Refusal::field("userId", "is not set aside: nothing is held").into());
    }
    audit::note(&mut *transaction, id, user, "void", decision, None, None).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    call.answered();
    match agree(app, user).await? {
        Some(changed) => Ok(Some(changed)),
        // Another node was quicker; the audit says what came of it.
        None => audit::changed(app, id).await,
    }
}

/// Makes Redis hold what Postgres says of a user. The row's lock keeps two who decide at once from telling Redis in the wrong
/// order. Returns what was voided, if something was.
async fn agree(app: &App, user: Uuid) -> Result<Option<Changed>> {
    let doing = "read a user's restrictions";
    let candidates = contenders(app, user).await?;
    let call = app.metrics.postgres(doing);
    let mut transaction = begin(&app.database, "BEGIN").await.map_err(|error| sql_fault(doing, error))?;
    let row = sqlx::query(
        "SELECT banned_at IS NOT NULL AS banned, aside_at IS NOT NULL AS aside, voids_id, number, username
         FROM users WHERE id = $1 FOR UPDATE",
    )
    .bind(user)
    .fetch_one(&mut *transaction)
    .await
    .map_err(|error| sql_fault(doing, error))?;
    call.answered();
    let voids: Option<Uuid> = row.get("voids_id");
    let voided = match voids {
        None => None,
        Some(id) => take_away(app, &mut transaction, user, id, &row).await?,
    };
    let it = Restrict {
        user,
        banned: row.get("banned"),
        aside: row.get("aside") && voids.is_none(),
        event_id: app.clock.new_id(),
        publish_window_ms: app.config.live.min_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let mended = app.store.restrict(&it).await?.map_err(|_| Refusal::Unavailable(DECIDED))?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    finish(app, user, mended).await?;
    Ok(voided)
}

/// What an operator hears whose decision waits for Redis.
const DECIDED: &str = "It is decided, and takes effect as soon as the board is open again";

/// Runs the event that voids; one that ran before is answered again, or finds nobody aside any more.
async fn take_away(
    app: &App,
    connection: &mut PgConnection,
    user: Uuid,
    id: Uuid,
    row: &PgRow,
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
        user,
        number: row.get("number"),
        username: row.get("username"),
        event_id: id,
        points: None,
        note: &note.unwrap_or_default(),
        publish_window_ms: app.config.live.min_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &[],
    };
    let voided = match app.store.adjust(&it).await? {
        Ok(adjusted) => {
            audit::complete(app, &mut *connection, id, outcome(&adjusted)).await?;
            Some(Changed { event_id: id, before: adjusted.before, after: adjusted.after })
        }
        Err(NotDone::Aside) => None,
        Err(_) => return Err(Refusal::Unavailable(DECIDED).into()),
    };
    sqlx::query("UPDATE users SET aside_at = NULL, voids_id = NULL WHERE id = $1")
        .bind(user)
        .execute(connection)
        .await
        .map_err(|error| sql_fault("void what is held", error))?;
    Ok(voided)
}

/// Looks at what was decided lately, by any node or command, and makes Redis agree.
pub async fn converge_forever(app: Arc<App>) {
    let (mut since_s, mut epoch) = (86_400.0, 0);
    loop {
        let started = tokio::time::Instant::now();
        // Another run of Redis may lack decisions of any age.
        let latest = app.store.known_epochs();
        if std::mem::replace(&mut epoch, latest) != latest {
            since_s = ALL_S;
        }
        match converge(&app, since_s).await {
            Ok(()) => since_s = 10.0,
            Err(error) => {
                tracing::debug!(?error, "restrictions wait for a store");
                since_s += started.elapsed().as_secs_f64() + EVERY.as_secs_f64();
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// One who cannot be brought to agree holds up no other.
async fn converge(app: &App, since_s: f64) -> Result<()> {
    let rows = sqlx::query(
        "SELECT id, banned_at IS NOT NULL AS banned, aside_at IS NOT NULL AS aside, voids_id IS NOT NULL AS voids
         FROM users WHERE restricted_at > now() - make_interval(secs => $1)",
    );
    let doing = "read the latest restrictions";
    let asked = rows.bind(since_s).fetch_all(&app.database);
    let rows = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
    let users: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
    let known = app.store.restrictions(&users).await?;
    let mut outcome = Ok(());
    for (row, (banned, aside)) in rows.iter().zip(known) {
        if row.get("voids") || row.get::<bool, _>("banned") != banned || row.get::<bool, _>("aside") != aside
        {
            outcome = agree(app, row.get("id")).await.map(drop).and(outcome);
        }
    }
    outcome
}
