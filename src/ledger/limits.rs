//! What limits have counted, from the ledger: so that a Redis that lost its data does not let anybody have a daily bonus, or an
//! hour's points, twice. Times in the ledger are Redis' own, which may have been set back since: they may lie ahead of its clock.

use sqlx::Row;

use super::leader::LeaderLock;
use super::sql_fault;
use crate::action::Action;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Counted, Load, PointsWon};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// Counters a round trip.
const BATCH: usize = 5000;

/// Loads them. The board must be closed.
///
/// # Errors
/// A store is away.
pub async fn load_limits(
    app: &App,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
) -> Result<(), Fault> {
    let now_ms = app.store.now_us().await? / 1000;
    load_counted(app, leader, loads, now_ms).await?;
    if app.config.limits.points_per_hour > 0 {
        load_points(app, leader, loads, now_ms).await?;
    }
    Ok(())
}

/// The hour or day in which an award of `at_ms` counts: as `lua/lib/limits.lua` has it.
fn period(at_ms: i64, now_ms: i64, length_ms: i64) -> i64 {
    let (at, present) = (at_ms / length_ms, now_ms / length_ms);
    if at == present + 1 { at } else { present }
}

/// What each action's own limits have counted. Spans of `elapsed` need nothing: what was issued before is gone with Redis' data, and a
/// token that is issued from now on takes its own span before it counts.
async fn load_counted(
    app: &App,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
    now_ms: i64,
) -> Result<(), Fault> {
    let limited =
        |it: &&Action| it.limits.cooldown_ms > 0 || it.limits.cap_per_hour > 0 || it.limits.cap_per_day > 0;
    let actions: Vec<&Action> = app.catalogue.all().iter().filter(limited).collect();
    if actions.is_empty() {
        return Ok(());
    }
    let (hour, day) = (now_ms / HOUR_MS, now_ms / DAY_MS);
    let longest_ms = actions.iter().map(|it| it.limits.cooldown_ms as i64).max().unwrap_or(0);
    let rows = sqlx::query(
        "SELECT user_id, action_type, (extract(epoch FROM max(created_at)) * 1000)::bigint AS at_ms,
                count(*) FILTER (WHERE created_at >= to_timestamp($3 / 1000.0)) AS in_hour,
                count(*) FILTER (WHERE created_at >= to_timestamp($4 / 1000.0)) AS in_day
         FROM score_history WHERE action_type = ANY($1) AND created_at >= to_timestamp($2 / 1000.0)
         GROUP BY user_id, action_type",
    )
    .bind(actions.iter().map(|it| it.kind.as_str()).collect::<Vec<&str>>())
    .bind((day * DAY_MS).min(now_ms - longest_ms) as f64)
    .bind((hour * HOUR_MS) as f64)
    .bind((day * DAY_MS) as f64)
    .fetch_all(leader.connection())
    .await
    .map_err(|error| sql_fault("read what limits have counted", error))?;
    let counted: Vec<Counted> = rows
        .iter()
        .filter_map(|row| {
            let kind: String = row.get("action_type");
            let cooldown_ms = actions.iter().find(|it| it.kind == kind)?.limits.cooldown_ms as i64;
            let at_ms: i64 = row.get("at_ms");
            let (hour, day) = (period(at_ms, now_ms, HOUR_MS), period(at_ms, now_ms, DAY_MS));
            Some(Counted {
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
    for some in counted.chunks(BATCH) {
        for (load, _) in loads {
            load.limits(some).await?;
        }
        leader.beat(&app.metrics).await?;
    }
    Ok(())
}

/// What each user has won in the last hour. When the window opened in Redis nobody knows any more: it is taken to have opened with the
/// first of these awards.
async fn load_points(
    app: &App,
    leader: &mut LeaderLock,
    loads: &[(Load<'_>, bool)],
    now_ms: i64,
) -> Result<(), Fault> {
    // An award has a token; what operators did, and what was carried over, has none.
    let rows = sqlx::query(
        "SELECT user_id, sum(points_earned)::bigint AS points, (extract(epoch FROM min(created_at)) * 1000)::bigint AS first_ms
         FROM score_history WHERE created_at > to_timestamp($1 / 1000.0) AND action_token_hash <> ''
         GROUP BY user_id",
    )
    .bind((now_ms - HOUR_MS) as f64)
    .fetch_all(leader.connection())
    .await
    .map_err(|error| sql_fault("read what was won in the last hour", error))?;
    let won: Vec<PointsWon> = rows
        .iter()
        .map(|row| PointsWon {
            user: row.get("user_id"),
            points: row.get("points"),
            until_ms: row.get::<i64, _>("first_ms").min(now_ms) + HOUR_MS,
        })
        .collect();
    for some in won.chunks(BATCH) {
        for (load, _) in loads {
            load.points(some).await?;
        }
        leader.beat(&app.metrics).await?;
    }
    Ok(())
}
