//! Counters of limits, computed from the ledger. They are loaded into a Redis that lost its data, so nobody gets a daily bonus or an hour's
//! points twice. Times in the ledger are by Redis' clock. If that was set back since, they may be in its future.

use sqlx::Row;

use crate::action::Action;
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::boards::count_attempts;
use crate::ledger::leader::LeaderLock;
use crate::store::{LimitCounts, Load, PointsWon};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// Counters per round trip.
const BATCH: usize = 5000;

/// Loads the counters into closed shards.
///
/// # Errors
/// A store is unavailable.
pub async fn load_limits(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<(), Fault> {
    let now_ms = ledger.store.now_us().await? / 1000;
    load_action_limits(ledger, leader, loads, now_ms).await?;
    load_attempts(ledger, leader, loads).await?;
    if ledger.config.limits.points_per_hour > 0 {
        load_hourly_points(ledger, leader, loads, now_ms).await?;
    }
    Ok(())
}

/// The hour or day in which an award of `at_ms` counts. The same rule as in `lua/lib/limits.lua`.
fn counted_period(at_ms: i64, now_ms: i64, length_ms: i64) -> i64 {
    let (period, current) = (at_ms / length_ms, now_ms / length_ms);
    if period == current + 1 { period } else { current }
}

/// Counters of cooldowns and caps per action. The minimum time of `elapsed` proofs needs none: older tokens are lost with Redis' data, and
/// new ones start their own.
async fn load_action_limits(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
    now_ms: i64,
) -> Result<(), Fault> {
    let is_limited = |action: &&Action| {
        let limits = &action.limits;
        limits.cooldown_ms > 0 || limits.cap_per_hour > 0 || limits.cap_per_day > 0
    };
    let actions: Vec<&Action> = ledger.catalogue.all().iter().filter(is_limited).collect();
    if actions.is_empty() {
        return Ok(());
    }
    let (hour, day) = (now_ms / HOUR_MS, now_ms / DAY_MS);
    let longest_ms = actions.iter().map(|action| action.limits.cooldown_ms as i64).max().unwrap_or(0);
    let rows = sqlx::query(
        "SELECT user_id, action_type, (extract(epoch FROM max(created_at)) * 1000)::bigint AS at_ms,
                count(*) FILTER (WHERE created_at >= to_timestamp($3 / 1000.0)) AS in_hour,
                count(*) FILTER (WHERE created_at >= to_timestamp($4 / 1000.0)) AS in_day
         FROM score_history WHERE action_type = ANY($1) AND created_at >= to_timestamp($2 / 1000.0)
         GROUP BY user_id, action_type",
    )
    .bind(actions.iter().map(|action| action.kind.as_str()).collect::<Vec<&str>>())
    .bind((day * DAY_MS).min(now_ms - longest_ms) as f64)
    .bind((hour * HOUR_MS) as f64)
    .bind((day * DAY_MS) as f64)
    .fetch_all(leader.connection())
    .await
    .map_err(|error| sql_fault("read_limit_counts", error))?;
    let counted: Vec<LimitCounts> = rows
        .iter()
        .filter_map(|row| {
            let kind: String = row.get("action_type");
            let cooldown_ms = actions.iter().find(|action| action.kind == kind)?.limits.cooldown_ms as i64;
            let at_ms: i64 = row.get("at_ms");
            let (hour, day) = (counted_period(at_ms, now_ms, HOUR_MS), counted_period(at_ms, now_ms, DAY_MS));
            Some(LimitCounts {
                user: row.get("user_id"),
                action: kind,
                at_ms,
                hour,
                in_hour: row.get("in_hour"),
                day,
                in_day: row.get("in_day"),
                until_ms: (at_ms + cooldown_ms).max((day + 1) * DAY_MS) + DAY_MS,
            })
        })
        .collect();
    for chunk in counted.chunks(BATCH) {
        for (load, _) in loads {
            load.limits(chunk).await?;
        }
        leader.beat(&ledger.metrics).await?;
    }
    Ok(())
}

/// Each user's attempts on boards that limit them.
async fn load_attempts(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<(), Fault> {
    let counted = count_attempts(ledger, leader.connection()).await;
    for chunk in counted.map_err(|error| sql_fault("read_attempts", error))?.chunks(BATCH) {
        for (load, _) in loads {
            load.attempts(chunk).await?;
        }
        leader.beat(&ledger.metrics).await?;
    }
    Ok(())
}

/// Each user's points of the last hour. The start of the window is lost with Redis' data: it is assumed to be the first of these awards.
async fn load_hourly_points(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
    now_ms: i64,
) -> Result<(), Fault> {
    // Only awards have a token. Adjustments and carried totals have none. An award of 0 points begins no window.
    let rows = sqlx::query(
        "SELECT user_id, sum(points_earned)::bigint AS points, (extract(epoch FROM min(created_at)) * 1000)::bigint AS first_ms
         FROM score_history WHERE created_at > to_timestamp($1 / 1000.0) AND action_token_hash <> '' AND points_earned > 0
         GROUP BY user_id",
    )
    .bind((now_ms - HOUR_MS) as f64)
    .fetch_all(leader.connection())
    .await
    .map_err(|error| sql_fault("read_points_of_last_hour", error))?;
    let won: Vec<PointsWon> = rows
        .iter()
        .map(|row| PointsWon {
            user: row.get("user_id"),
            points: row.get("points"),
            until_ms: row.get::<i64, _>("first_ms").min(now_ms) + HOUR_MS,
        })
        .collect();
    for chunk in won.chunks(BATCH) {
        for (load, _) in loads {
            load.points(chunk).await?;
        }
        leader.beat(&ledger.metrics).await?;
    }
    Ok(())
}
