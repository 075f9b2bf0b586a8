//! Bans, and users who are set aside.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::{Decision, audit};
use crate::app::App;
use crate::award::CLOSED;
use crate::error::{Refusal, Result};
use crate::ledger::{contenders, sql_fault};
use crate::store::{Mended, NotDone, Restrict};

/// How often Redis is made to agree with what was decided lately.
const EVERY: Duration = Duration::from_secs(2);
/// Looks for somebody who stands in for one who left the ten, while the ledger catches up.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

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

    fn sql(self) -> &'static str {
        match self {
            Self::Ban => {
                "UPDATE users SET banned_at = coalesce(banned_at, now()), restricted_at = now() WHERE id = $1"
            }
            Self::Unban => "UPDATE users SET banned_at = NULL, restricted_at = now() WHERE id = $1",
            Self::SetAside => {
                "UPDATE users SET aside_at = coalesce(aside_at, now()), restricted_at = now() WHERE id = $1"
            }
            Self::Confirm => "UPDATE users SET aside_at = NULL, restricted_at = now() WHERE id = $1",
        }
    }
}

/// Decides, and makes Redis agree.
///
/// # Errors
/// A store is away. If it is Redis, the decision stands, and takes effect when Redis is back.
pub async fn restrict(app: &App, user: Uuid, restriction: Restriction, decision: &Decision) -> Result<()> {
    let doing = "restrict a user";
    let mut transaction = app.database.begin().await.map_err(|error| sql_fault(doing, error))?;
    sqlx::query(restriction.sql())
        .bind(user)
        .execute(&mut *transaction)
        .await
        .map_err(|error| sql_fault(doing, error))?;
    audit::note(&mut transaction, app.clock.new_id(), user, restriction.as_str(), decision, None).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    agree(app, user).await
}

/// Makes Redis hold what Postgres says of a user.
///
/// # Errors
/// A store is away.
pub(super) async fn agree(app: &App, user: Uuid) -> Result<()> {
    for _ in 0..TRIES {
        let mended = agree_once(app, user).await?;
        show(app, mended).await?;
        if mended.whole {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    // The next award, or the next decision, completes the ten.
    tracing::warn!("the ten lack somebody whose newest award is not in the ledger yet");
    Ok(())
}

/// The row's lock keeps two who decide at once from telling Redis in the wrong order.
async fn agree_once(app: &App, user: Uuid) -> Result<Mended> {
    let doing = "read a user's restrictions";
    let candidates = contenders(app, user).await?;
    let mut transaction = app.database.begin().await.map_err(|error| sql_fault(doing, error))?;
    let row = sqlx::query(
        "SELECT banned_at IS NOT NULL AS banned, aside_at IS NOT NULL AS aside FROM users WHERE id = $1 FOR UPDATE",
    )
    .bind(user)
    .fetch_one(&mut *transaction)
    .await
    .map_err(|error| sql_fault(doing, error))?;
    let it = Restrict {
        user,
        banned: row.get("banned"),
        aside: row.get("aside"),
        event_id: app.clock.new_id(),
        publish_window_ms: app.config.live.min_interval_ms,
        outbox_max: app.config.outbox.max_entries,
        candidates: &candidates,
    };
    let mended = app.store.restrict(&it).await?;
    transaction.commit().await.map_err(|error| sql_fault(doing, error))?;
    mended.map_err(|why| match why {
        NotDone::Unavailable | NotDone::OutOfRange | NotDone::Aside | NotDone::Again => {
            Refusal::Unavailable(CLOSED).into()
        }
    })
}

/// Publishes a board that was held back.
pub(super) async fn show(app: &App, mended: Mended) -> Result<()> {
    let mut due_ms = mended.flush_due_ms;
    while due_ms > 0 {
        tokio::time::sleep(Duration::from_millis(due_ms)).await;
        due_ms = app.store.flush(app.config.live.min_interval_ms).await?;
    }
    Ok(())
}

/// Looks at what was decided lately, by any node or command, and makes Redis agree.
pub async fn converge_forever(app: Arc<App>) {
    let mut since_s = 86_400.0;
    loop {
        let started = tokio::time::Instant::now();
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

async fn converge(app: &App, since_s: f64) -> Result<()> {
    let sql = "SELECT id FROM users WHERE restricted_at > now() - make_interval(secs => $1)";
    let rows = sqlx::query(sql).bind(since_s).fetch_all(&app.database).await;
    for row in rows.map_err(|error| sql_fault("read the latest restrictions", error))? {
        agree(app, row.get("id")).await?;
    }
    Ok(())
}
