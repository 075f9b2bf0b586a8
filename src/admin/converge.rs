//! What was decided is made true in Redis again and again: decisions that were cut short, and keys that went since.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use tokio::time::Instant;
use uuid::Uuid;

use super::agree::agree;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{sql_fault, timed};
use crate::store::InForce;

/// Longer ago than anything.
const ALL_S: f64 = 1e9;
/// How often Redis is made to agree with what was decided lately.
const EVERY: Duration = Duration::from_secs(2);
/// How often the leader compares every decision, however old: a `ban:` that somebody deleted, or that a Redis with another
/// `maxmemory-policy` evicted, comes back by then.
pub const ALL_EVERY: Duration = Duration::from_secs(120);
/// Users a question.
const PAGE: i64 = 1000;

/// Looks at what was decided lately, by any node or command, and makes Redis agree; and at all of it after another run of Redis, and
/// every so often (`all_every`; `ALL_EVERY` where a node serves) while this node has the ledger's lead.
pub async fn converge_forever(app: Arc<App>, all_every: Duration) {
    let (mut since_s, mut epoch, mut compared) = (86_400.0, 0, Instant::now());
    loop {
        let started = Instant::now();
        // Another run of Redis may lack decisions of any age.
        let latest = app.store.known_epochs();
        let is_other = std::mem::replace(&mut epoch, latest) != latest;
        if is_other || (compared.elapsed() >= all_every && app.health.is_leader()) {
            since_s = ALL_S;
        }
        match converge(&app, since_s).await {
            Ok(()) => {
                if since_s >= ALL_S {
                    compared = started;
                }
                since_s = 10.0;
            }
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
    let (mut outcome, mut last) = (Ok(()), ("-infinity".to_owned(), Uuid::nil()));
    loop {
        let asked = sqlx::query(
            "SELECT id, restricted_at::text AS at, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined,
                    voids_id IS NOT NULL AS voids,
                    EXISTS (SELECT FROM admin_audit
                            WHERE user_id = users.id AND action = 'rename' AND created_at > now() - interval '1 hour') AS renamed
             FROM users
             WHERE restricted_at > now() - make_interval(secs => $1) AND (restricted_at, id) > ($2::text::timestamptz, $3)
             ORDER BY restricted_at, id LIMIT $4",
        );
        let doing = "read restrictions";
        let asked = asked.bind(since_s).bind(&last.0).bind(last.1).bind(PAGE).fetch_all(&app.database);
        let rows = timed(&app.metrics, doing, asked).await.map_err(|error| sql_fault(doing, error))?;
        let Some(end) = rows.last() else { return outcome };
        last = (end.get("at"), end.get("id"));
        let users: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
        let in_force = app.store.restrictions(&users).await?;
        for (row, found) in rows.iter().zip(in_force) {
            let banned = row.get("banned");
            let decided = InForce { banned, listed: banned, quarantined: row.get("quarantined") };
            // A void that the ledger does not have is done again where Redis lost it, and else found to be done.
            if row.get("voids") || row.get("renamed") || found != decided {
                outcome = agree(app, row.get("id")).await.map(drop).and(outcome);
            }
        }
    }
}
