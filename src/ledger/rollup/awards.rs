//! Adds ledger entries to the rollups. Entries are numbered without gaps, so the progress is one number, which is updated in the
//! transaction that adds them. A crash neither skips an entry nor counts one twice.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::batch_totals::{self, AwardCount, BatchTotals, HourTotals, HourlyAwards, UserTotals};
use super::most_active;
use super::period::Period;
use crate::ledger::chain::SHARD;

/// Entries per transaction.
pub const BATCH: i64 = 20_000;

/// Adds the next batch and returns the number of entries left. The caller has locked `rollup_heads` and commits.
pub async fn add_batch(transaction: &mut PgConnection, now_ms: i64) -> Result<i64, sqlx::Error> {
    let (from, end): (i64, i64) = sqlx::query_as(
        "SELECT r.seq, l.seq FROM rollup_heads r JOIN ledger_heads l USING (shard) WHERE r.shard = $1",
    )
    .bind(SHARD)
    .fetch_one(&mut *transaction)
    .await?;
    if from >= end {
        return Ok(0);
    }
    // Skip entries that are detached already.
    let first = sqlx::query_scalar::<_, Option<i64>>(
        "SELECT min(seq) FROM score_history WHERE shard = $1 AND seq > $2",
    );
    let first = first.bind(SHARD).bind(from).fetch_one(&mut *transaction).await?;
    let from = first.map_or(end, |first| first - 1);
    let to = end.min(from + BATCH);
    let groups = read(transaction, from, to).await?;
    if !groups.is_empty() {
        let stored = read_stored(transaction, &groups).await?;
        let late = batch_totals::find_late(&groups, &stored);
        let active_before = read_active_before(transaction, late, from).await?;
        let batch = batch_totals::compute(&groups, &stored, &active_before);
        write_users(transaction, &batch).await?;
        write_hours(transaction, &batch).await?;
        most_active::update(transaction, &batch, now_ms).await?;
    }
    sqlx::query("UPDATE rollup_heads SET seq = $2 WHERE shard = $1")
        .bind(SHARD)
        .bind(to)
        .execute(transaction)
        .await?;
    Ok(end - to)
}

/// Reads awards, which have a token hash. Adjustments, seeds and carried totals have none and are not activity.
async fn read(connection: &mut PgConnection, from: i64, to: i64) -> Result<Vec<HourlyAwards>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT user_id, hour, count(*) AS awards, least(sum(points_earned), 9223372036854775807)::bigint AS points,
                (max(at) * 1000000)::bigint AS last_us
         FROM (SELECT user_id, points_earned, date_part('epoch', created_at) AS at,
                      floor(date_part('epoch', created_at) / 3600)::bigint AS hour
               FROM score_history
               WHERE shard = $1 AND seq > $2 AND seq <= $3 AND action_token_hash <> '' AND isfinite(created_at)) it
         GROUP BY user_id, hour ORDER BY user_id, hour",
    );
    let rows = rows.bind(SHARD).bind(from).bind(to).fetch_all(connection).await?;
    let group = |row: &sqlx::postgres::PgRow| HourlyAwards {
        user: row.get("user_id"),
        hour: row.get("hour"),
        awards: row.get("awards"),
        points: row.get("points"),
        last_us: row.get("last_us"),
    };
    Ok(rows.iter().map(group).collect())
}

async fn read_stored(
    connection: &mut PgConnection,
    groups: &[HourlyAwards],
) -> Result<HashMap<Uuid, UserTotals>, sqlx::Error> {
    let users: Vec<Uuid> =
        groups.chunk_by(|group, next| group.user == next.user).map(|own| own[0].user).collect();
    let rows = sqlx::query(
        "SELECT user_id, (date_part('epoch', last_at) * 1000000)::bigint AS last_us, awards, hour_awards, hour_points, day_awards,
                day_points, week_awards, week_points, month_awards, month_points
         FROM rollup_users WHERE user_id = ANY($1)",
    );
    let rows = rows.bind(users).fetch_all(connection).await?;
    let totals = |row: &sqlx::postgres::PgRow| UserTotals {
        last_us: row.get("last_us"),
        awards: row.get("awards"),
        periods: [3, 5, 7, 9]
            .map(|column| AwardCount { awards: row.get(column), points: row.get(column + 1) }),
    };
    Ok(rows.iter().map(|row| (row.get("user_id"), totals(row))).collect())
}

/// The hours and days of late groups in which their user has awards that are in the rollups already. Rarely needed: awards arrive in order
/// of time unless a clock was set back, an older Redis returned, or an entry could not be written for a while.
async fn read_active_before<'a>(
    connection: &mut PgConnection,
    late: impl Iterator<Item = &'a HourlyAwards>,
    seq: i64,
) -> Result<HashSet<(Uuid, Period, i64)>, sqlx::Error> {
    let periods: Vec<(Uuid, Period, i64)> = late
        .flat_map(|group| {
            [Period::Hour, Period::Day].map(|period| (group.user, period, period.start(group.hour)))
        })
        .collect();
    if periods.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT index FROM unnest($1::uuid[], $2::float8[], $3::float8[]) WITH ORDINALITY AS it (user_id, from_s, to_s, index)
         WHERE EXISTS (SELECT FROM score_history h
                       WHERE h.user_id = it.user_id AND h.created_at >= to_timestamp(it.from_s)
                             AND h.created_at < to_timestamp(it.to_s)
                             AND h.shard = $4 AND h.seq <= $5 AND h.action_token_hash <> '')",
    )
    .bind(periods.iter().map(|it| it.0).collect::<Vec<Uuid>>())
    .bind(periods.iter().map(|(_, _, start)| *start as f64 * 3600.0).collect::<Vec<f64>>())
    .bind(periods.iter().map(|(_, period, start)| period.end(*start) as f64 * 3600.0).collect::<Vec<f64>>())
    .bind(SHARD)
    .bind(seq)
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().filter_map(|index| periods.get(index as usize - 1).copied()).collect())
}

async fn write_users(connection: &mut PgConnection, batch: &BatchTotals) -> Result<(), sqlx::Error> {
    let rows: Vec<(&Uuid, &UserTotals)> = batch.users.iter().collect();
    let column = |period: usize, field: fn(&AwardCount) -> i64| {
        rows.iter().map(|(_, totals)| field(&totals.periods[period])).collect::<Vec<i64>>()
    };
    let mut query = sqlx::query(
        "INSERT INTO rollup_users AS known (user_id, last_at, awards, hour_awards, hour_points, day_awards, day_points, week_awards,
                                            week_points, month_awards, month_points)
         SELECT user_id, to_timestamp(last_us / 1000000.0::float8), awards, ha, hp, da, dp, wa, wp, ma, mp
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::bigint[], $10::bigint[], $11::bigint[]) AS it (user_id, last_us, awards, ha, hp, da, dp, wa, wp, ma, mp)
         ON CONFLICT (user_id) DO UPDATE
         SET last_at = excluded.last_at, awards = excluded.awards, hour_awards = excluded.hour_awards,
             hour_points = excluded.hour_points, day_awards = excluded.day_awards, day_points = excluded.day_points,
             week_awards = excluded.week_awards, week_points = excluded.week_points, month_awards = excluded.month_awards,
             month_points = excluded.month_points",
    )
    .bind(rows.iter().map(|it| *it.0).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|(_, totals)| totals.last_us).collect::<Vec<i64>>())
    .bind(rows.iter().map(|(_, totals)| totals.awards).collect::<Vec<i64>>());
    for period in 0..Period::ALL.len() {
        query = query.bind(column(period, |it| it.awards)).bind(column(period, |it| it.points));
    }
    query.execute(connection).await.map(drop)
}

async fn write_hours(connection: &mut PgConnection, batch: &BatchTotals) -> Result<(), sqlx::Error> {
    let column = |field: fn(&HourTotals) -> i64| batch.hours.values().map(field).collect::<Vec<i64>>();
    sqlx::query(
        "INSERT INTO rollup_hours AS known (hour, awards, points, users, day_users, last_users)
         SELECT to_timestamp(hour * 3600.0::float8), awards, points, users, day_users, last_users
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
              AS it (hour, awards, points, users, day_users, last_users)
         ON CONFLICT (hour) DO UPDATE
         SET awards = known.awards + excluded.awards, points = known.points + excluded.points, users = known.users + excluded.users,
             day_users = known.day_users + excluded.day_users, last_users = known.last_users + excluded.last_users",
    )
    .bind(batch.hours.keys().copied().collect::<Vec<i64>>())
    .bind(column(|hour| hour.count.awards))
    .bind(column(|hour| hour.count.points))
    .bind(column(|it| it.users))
    .bind(column(|it| it.day_users))
    .bind(column(|it| it.last_users))
    .execute(connection)
    .await
    .map(drop)
}
