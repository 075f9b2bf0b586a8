//! The ledger's entries, a batch at a time. Along the chain they are numbered without gaps, so how far the sums have come is one number,
//! which moves in the transaction that adds them: killed anywhere, no entry is missed or counted twice.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::best;
use super::period::Period;
use super::tally::{self, Added, Count, Group, Tally};
use crate::ledger::chain::SHARD;

/// Entries a transaction.
pub const BATCH: i64 = 20_000;

/// Adds the next batch, and returns how many entries are left. The caller has locked the row of `rollup_heads`, and commits.
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
    // What was detached before there were sums is not to be had any more.
    let first = sqlx::query_scalar::<_, Option<i64>>(
        "SELECT min(seq) FROM score_history WHERE shard = $1 AND seq > $2",
    );
    let first = first.bind(SHARD).bind(from).fetch_one(&mut *transaction).await?;
    let from = first.map_or(end, |it| it - 1);
    let to = end.min(from + BATCH);
    let groups = read(transaction, from, to).await?;
    if !groups.is_empty() {
        let known = read_known(transaction, &groups).await?;
        let had = read_had(transaction, tally::late(&groups, &known), from).await?;
        let added = tally::add(&groups, &known, &had);
        write_users(transaction, &added).await?;
        write_hours(transaction, &added).await?;
        best::keep(transaction, &added, now_ms).await?;
    }
    sqlx::query("UPDATE rollup_heads SET seq = $2 WHERE shard = $1")
        .bind(SHARD)
        .bind(to)
        .execute(transaction)
        .await?;
    Ok(end - to)
}

/// What was won by a token. What an operator did, what was seeded and what was carried over has none: it is no activity.
async fn read(connection: &mut PgConnection, from: i64, to: i64) -> Result<Vec<Group>, sqlx::Error> {
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
    let group = |row: &sqlx::postgres::PgRow| Group {
        user: row.get("user_id"),
        hour: row.get("hour"),
        awards: row.get("awards"),
        points: row.get("points"),
        last_us: row.get("last_us"),
    };
    Ok(rows.iter().map(group).collect())
}

async fn read_known(
    connection: &mut PgConnection,
    groups: &[Group],
) -> Result<HashMap<Uuid, Tally>, sqlx::Error> {
    let users: Vec<Uuid> =
        groups.chunk_by(|one, other| one.user == other.user).map(|it| it[0].user).collect();
    let rows = sqlx::query(
        "SELECT user_id, (date_part('epoch', last_at) * 1000000)::bigint AS last_us, awards, hour_awards, hour_points, day_awards,
                day_points, week_awards, week_points, month_awards, month_points
         FROM rollup_users WHERE user_id = ANY($1)",
    );
    let rows = rows.bind(users).fetch_all(connection).await?;
    let tally = |row: &sqlx::postgres::PgRow| Tally {
        last_us: row.get("last_us"),
        awards: row.get("awards"),
        periods: [3, 5, 7, 9].map(|place| Count { awards: row.get(place), points: row.get(place + 1) }),
    };
    Ok(rows.iter().map(|row| (row.get("user_id"), tally(row))).collect())
}

/// In which hours and days of the late groups their users have awards that are in the sums. Awards come in the order of time but where
/// a clock went back, an older Redis came back, or an entry could not be written for a while; so this is seldom asked.
async fn read_had<'a>(
    connection: &mut PgConnection,
    late: impl Iterator<Item = &'a Group>,
    seq: i64,
) -> Result<HashSet<(Uuid, Period, i64)>, sqlx::Error> {
    let asked: Vec<(Uuid, Period, i64)> = late
        .flat_map(|it| [Period::Hour, Period::Day].map(|period| (it.user, period, period.begins(it.hour))))
        .collect();
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT place FROM unnest($1::uuid[], $2::float8[], $3::float8[]) WITH ORDINALITY AS it (user_id, begins, ends, place)
         WHERE EXISTS (SELECT FROM score_history h
                       WHERE h.user_id = it.user_id AND h.created_at >= to_timestamp(it.begins)
                             AND h.created_at < to_timestamp(it.ends)
                             AND h.shard = $4 AND h.seq <= $5 AND h.action_token_hash <> '')",
    )
    .bind(asked.iter().map(|it| it.0).collect::<Vec<Uuid>>())
    .bind(asked.iter().map(|it| it.2 as f64 * 3600.0).collect::<Vec<f64>>())
    .bind(asked.iter().map(|it| it.1.ends(it.2) as f64 * 3600.0).collect::<Vec<f64>>())
    .bind(SHARD)
    .bind(seq)
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().filter_map(|place| asked.get(place as usize - 1).copied()).collect())
}

async fn write_users(connection: &mut PgConnection, added: &Added) -> Result<(), sqlx::Error> {
    let rows: Vec<(&Uuid, &Tally)> = added.users.iter().collect();
    let of = |place: usize, what: fn(&Count) -> i64| {
        rows.iter().map(|it| what(&it.1.periods[place])).collect::<Vec<i64>>()
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
    .bind(rows.iter().map(|it| it.1.last_us).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.1.awards).collect::<Vec<i64>>());
    for place in 0..Period::ALL.len() {
        query = query.bind(of(place, |it| it.awards)).bind(of(place, |it| it.points));
    }
    query.execute(connection).await.map(drop)
}

async fn write_hours(connection: &mut PgConnection, added: &Added) -> Result<(), sqlx::Error> {
    let of = |what: fn(&tally::Hour) -> i64| added.hours.values().map(what).collect::<Vec<i64>>();
    sqlx::query(
        "INSERT INTO rollup_hours AS known (hour, awards, points, users, day_users, last_users)
         SELECT to_timestamp(hour * 3600.0::float8), awards, points, users, day_users, last_users
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
              AS it (hour, awards, points, users, day_users, last_users)
         ON CONFLICT (hour) DO UPDATE
         SET awards = known.awards + excluded.awards, points = known.points + excluded.points, users = known.users + excluded.users,
             day_users = known.day_users + excluded.day_users, last_users = known.last_users + excluded.last_users",
    )
    .bind(added.hours.keys().copied().collect::<Vec<i64>>())
    .bind(of(|it| it.count.awards))
    .bind(of(|it| it.count.points))
    .bind(of(|it| it.users))
    .bind(of(|it| it.day_users))
    .bind(of(|it| it.last_users))
    .execute(connection)
    .await
    .map(drop)
}
