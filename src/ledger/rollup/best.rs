//! The most active of the present periods, kept and not computed: awards only add to a user's counts, so whoever is not among them
//! and has no award in a batch does not come in by it.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::period::{HOUR_MS, Period};
use super::tally::{Added, Count};

/// So many of each period.
const KEPT: usize = 100;
/// Redis' clock, by which awards are, and a node's may differ by so much where one period ends and the next begins.
const SKEW_MS: i64 = 300_000;

type Counts = HashMap<Uuid, Count>;

/// Puts a batch's users among the most active, and forgets those of periods that are over.
pub async fn keep(connection: &mut PgConnection, added: &Added, now_ms: i64) -> Result<(), sqlx::Error> {
    let mut kept: HashMap<(Period, i64), Counts> = HashMap::new();
    for period in Period::ALL {
        for at_ms in [now_ms - SKEW_MS, now_ms, now_ms + SKEW_MS] {
            kept.entry((period, period.begins(at_ms.div_euclid(HOUR_MS)))).or_default();
        }
    }
    let mut gone = Vec::new();
    let mut written: HashMap<(Period, i64, Uuid), Count> = HashMap::new();
    for row in read(connection).await? {
        match kept.get_mut(&(row.period, row.begins)) {
            Some(counts) => {
                counts.insert(row.user, row.count);
                written.insert((row.period, row.begins, row.user), row.count);
            }
            None => gone.push((row.period, row.begins, row.user)),
        }
    }
    for (user, tally) in &added.users {
        for (place, period) in Period::ALL.into_iter().enumerate() {
            let begins = period.begins(tally.hour());
            if let Some(counts) = kept.get_mut(&(period, begins)) {
                counts.insert(*user, tally.periods[place]);
            }
        }
    }
    let mut fresh = Vec::new();
    for ((period, begins), counts) in kept {
        let best = best(counts);
        for (user, count) in best {
            if written.remove(&(period, begins, user)) != Some(count) {
                fresh.push(Best { period, begins, user, count });
            }
        }
    }
    gone.extend(written.into_keys());
    forget(connection, &gone).await?;
    write(connection, &fresh).await
}

/// Most awards first; of as many, most points; of those, by UUID, so that it is always the same.
fn best(counts: Counts) -> Vec<(Uuid, Count)> {
    let mut all: Vec<(Uuid, Count)> = counts.into_iter().collect();
    let order = |one: &(Uuid, Count), other: &(Uuid, Count)| other.1.cmp(&one.1).then(one.0.cmp(&other.0));
    if all.len() > KEPT {
        all.select_nth_unstable_by(KEPT, order);
        all.truncate(KEPT);
    }
    all
}

/// A row of `rollup_best`.
struct Best {
    period: Period,
    begins: i64,
    user: Uuid,
    count: Count,
}

async fn read(connection: &mut PgConnection) -> Result<Vec<Best>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT period, (date_part('epoch', begins) / 3600)::bigint AS begins, user_id, awards, points FROM rollup_best",
    );
    let rows = rows.fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let period = Period::ALL.into_iter().find(|it| it.as_str() == row.get::<&str, _>("period"))?;
        let count = Count { awards: row.get("awards"), points: row.get("points") };
        Some(Best { period, begins: row.get("begins"), user: row.get("user_id"), count })
    };
    Ok(rows.iter().filter_map(read).collect())
}

async fn forget(connection: &mut PgConnection, rows: &[(Period, i64, Uuid)]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM rollup_best it USING unnest($1::text[], $2::bigint[], $3::uuid[]) AS gone (period, begins, user_id)
         WHERE it.period = gone.period AND it.begins = to_timestamp(gone.begins * 3600.0::float8) AND it.user_id = gone.user_id",
    )
    .bind(rows.iter().map(|it| it.0.as_str()).collect::<Vec<&str>>())
    .bind(rows.iter().map(|it| it.1).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.2).collect::<Vec<Uuid>>())
    .execute(connection)
    .await
    .map(drop)
}

async fn write(connection: &mut PgConnection, rows: &[Best]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO rollup_best (period, begins, user_id, awards, points)
         SELECT period, to_timestamp(begins * 3600.0::float8), user_id, awards, points
         FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[]) AS it (period, begins, user_id, awards, points)
         ON CONFLICT (period, begins, user_id) DO UPDATE SET awards = excluded.awards, points = excluded.points",
    )
    .bind(rows.iter().map(|it| it.period.as_str()).collect::<Vec<&str>>())
    .bind(rows.iter().map(|it| it.begins).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.user).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|it| it.count.awards).collect::<Vec<i64>>())
    .bind(rows.iter().map(|it| it.count.points).collect::<Vec<i64>>())
    .execute(connection)
    .await
    .map(drop)
}
