//! The most active users of the current periods, updated with each batch. Counts only grow, so a user who is not in the list can enter it
//! only by an award in the batch.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::batch_totals::{AwardCount, BatchTotals};
use super::period::{HOUR_MS, Period};

/// Users per period.
const MAX_USERS: usize = 100;
/// Around the end of a period, Redis' clock, which dates awards, and a node's clock may differ by this much.
const SKEW_MS: i64 = 300_000;

type Counts = HashMap<Uuid, AwardCount>;

/// Adds a batch's users to the lists, and deletes the lists of past periods.
pub async fn update(
    connection: &mut PgConnection,
    batch: &BatchTotals,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    let mut current: HashMap<(Period, i64), Counts> = HashMap::new();
    for period in Period::ALL {
        for at_ms in [now_ms - SKEW_MS, now_ms, now_ms + SKEW_MS] {
            current.entry((period, period.start(at_ms.div_euclid(HOUR_MS)))).or_default();
        }
    }
    let mut obsolete = Vec::new();
    let mut stored: HashMap<(Period, i64, Uuid), AwardCount> = HashMap::new();
    for row in read(connection).await? {
        match current.get_mut(&(row.period, row.start)) {
            Some(counts) => {
                counts.insert(row.user, row.count);
                stored.insert((row.period, row.start, row.user), row.count);
            }
            None => obsolete.push((row.period, row.start, row.user)),
        }
    }
    for (user, totals) in &batch.users {
        for (index, period) in Period::ALL.into_iter().enumerate() {
            let start = period.start(totals.hour());
            if let Some(counts) = current.get_mut(&(period, start)) {
                counts.insert(*user, totals.periods[index]);
            }
        }
    }
    let mut changed = Vec::new();
    for ((period, start), counts) in current {
        for (user, count) in most_active(counts) {
            if stored.remove(&(period, start, user)) != Some(count) {
                changed.push(ActiveUser { period, start, user, count });
            }
        }
    }
    obsolete.extend(stored.into_keys());
    delete(connection, &obsolete).await?;
    write(connection, &changed).await
}

/// By awards, then points, then UUID, so that the result is deterministic.
fn most_active(counts: Counts) -> Vec<(Uuid, AwardCount)> {
    let mut all: Vec<(Uuid, AwardCount)> = counts.into_iter().collect();
    let order = |a: &(Uuid, AwardCount), b: &(Uuid, AwardCount)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
    if all.len() > MAX_USERS {
        all.select_nth_unstable_by(MAX_USERS, order);
        all.truncate(MAX_USERS);
    }
    all
}

/// A row of `rollup_best`.
struct ActiveUser {
    period: Period,
    /// First hour of the period.
    start: i64,
    user: Uuid,
    count: AwardCount,
}

async fn read(connection: &mut PgConnection) -> Result<Vec<ActiveUser>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT period, (date_part('epoch', period_start) / 3600)::bigint AS start, user_id, awards, points FROM rollup_best",
    );
    let rows = rows.fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let period =
            Period::ALL.into_iter().find(|period| period.as_str() == row.get::<&str, _>("period"))?;
        let count = AwardCount { awards: row.get("awards"), points: row.get("points") };
        Some(ActiveUser { period, start: row.get("start"), user: row.get("user_id"), count })
    };
    Ok(rows.iter().filter_map(read).collect())
}

async fn delete(connection: &mut PgConnection, rows: &[(Period, i64, Uuid)]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM rollup_best it USING unnest($1::text[], $2::bigint[], $3::uuid[]) AS obsolete (period, start, user_id)
         WHERE it.period = obsolete.period AND it.period_start = to_timestamp(obsolete.start * 3600.0::float8)
               AND it.user_id = obsolete.user_id",
    )
    .bind(rows.iter().map(|row| row.0.as_str()).collect::<Vec<&str>>())
    .bind(rows.iter().map(|it| it.1).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.2).collect::<Vec<Uuid>>())
    .execute(connection)
    .await
    .map(drop)
}

async fn write(connection: &mut PgConnection, rows: &[ActiveUser]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO rollup_best (period, period_start, user_id, awards, points)
         SELECT period, to_timestamp(start * 3600.0::float8), user_id, awards, points
         FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[]) AS it (period, start, user_id, awards, points)
         ON CONFLICT (period, period_start, user_id) DO UPDATE SET awards = excluded.awards, points = excluded.points",
    )
    .bind(rows.iter().map(|row| row.period.as_str()).collect::<Vec<&str>>())
    .bind(rows.iter().map(|it| it.start).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|row| row.count.awards).collect::<Vec<i64>>())
    .bind(rows.iter().map(|row| row.count.points).collect::<Vec<i64>>())
    .execute(connection)
    .await
    .map(drop)
}
