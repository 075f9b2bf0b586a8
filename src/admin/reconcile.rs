//! Keeps Redis in line with the decisions in Postgres: applies decisions that were interrupted, and restores keys that Redis lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use tokio::time::Instant;
use uuid::Uuid;

use super::apply::apply;
use crate::admin::Admin;
use crate::db::{sql_fault, timed};
use crate::error::Result;
use crate::store::Restrictions;

/// Longer ago than any decision.
const ALL_S: f64 = 1e9;
/// How often recent decisions are compared with Redis.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often the leader compares all decisions. A `ban:` key that was deleted, or evicted under a wrong `maxmemory-policy`, is back by
/// then.
pub const FULL_INTERVAL: Duration = Duration::from_secs(120);
/// Users per query.
const PAGE: i64 = 1000;

/// Compares recent decisions, made by any node or command, with Redis and applies those that differ. Compares all decisions after a restart
/// of Redis, and every `full_interval` on the ledger leader (`FULL_INTERVAL` in production).
pub async fn reconcile_forever(admin: Arc<Admin>, full_interval: Duration) {
    let (mut since_s, mut epoch, mut compared) = (86_400.0, 0, Instant::now());
    loop {
        let started = Instant::now();
        // A new run of Redis may lack decisions of any age.
        let latest = admin.store.known_epochs();
        let is_new_run = std::mem::replace(&mut epoch, latest) != latest;
        if is_new_run || (compared.elapsed() >= full_interval && admin.health.is_leader()) {
            since_s = ALL_S;
        }
        match reconcile(&admin, since_s).await {
            Ok(()) => {
                if since_s >= ALL_S {
                    compared = started;
                }
                since_s = 10.0;
            }
            Err(error) => {
                tracing::debug!(?error, "reconciling restrictions failed, retrying");
                since_s += started.elapsed().as_secs_f64() + INTERVAL.as_secs_f64();
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A user whose decision cannot be applied does not hold up the others.
async fn reconcile(admin: &Admin, since_s: f64) -> Result<()> {
    let (mut outcome, mut last) = (Ok(()), ("-infinity".to_owned(), Uuid::nil()));
    loop {
        let query = sqlx::query(
            "SELECT id, restricted_at::text AS at, banned_at IS NOT NULL AS banned, quarantined_at IS NOT NULL AS quarantined,
                    voids_id IS NOT NULL AS voids
             FROM users
             WHERE restricted_at > now() - make_interval(secs => $1) AND (restricted_at, id) > ($2::text::timestamptz, $3)
             ORDER BY restricted_at, id LIMIT $4",
        );
        let query_name = "read_restrictions";
        let query = query.bind(since_s).bind(&last.0).bind(last.1).bind(PAGE).fetch_all(&admin.database);
        let rows =
            timed(&admin.metrics, query_name, query).await.map_err(|error| sql_fault(query_name, error))?;
        let Some(end) = rows.last() else { return outcome };
        last = (end.get("at"), end.get("id"));
        let users: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
        let in_force = admin.store.restrictions(&users).await?;
        for (row, found) in rows.iter().zip(in_force) {
            let banned = row.get("banned");
            let decided = Restrictions { banned, listed: banned, quarantined: row.get("quarantined") };
            // A void that the ledger does not have yet is repeated if Redis lost it. Otherwise repeating it changes nothing.
            if row.get("voids") || found != decided {
                outcome = apply(admin, row.get("id")).await.map(drop).and(outcome);
            }
        }
    }
}
