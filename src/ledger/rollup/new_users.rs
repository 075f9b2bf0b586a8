//! Registrations, by hour.

use sqlx::PgConnection;

use crate::ledger::chain::SHARD;

/// Users per transaction.
const BATCH: i64 = 100_000;
/// A user's number is drawn before the row is committed. After this time it is committed, or never will be: Postgres ends transactions that
/// are idle for 10 s.
const COMMITTED_AFTER_S: f64 = 60.0;

/// Adds users by number, up to the newest that was seen long enough ago. Returns true if there may be more.
pub async fn add_batch(transaction: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let committed: Option<(i64, i64)> = sqlx::query_as(
        "SELECT user_number, seen_number FROM rollup_heads
         WHERE shard = $1 AND seen_number_at < now() - make_interval(secs => $2)",
    )
    .bind(SHARD)
    .bind(COMMITTED_AFTER_S)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((from, seen)) = committed else { return Ok(false) };
    let to = seen.min(from + BATCH);
    if from < to {
        sqlx::query(
            "INSERT INTO rollup_hours AS known (hour, new_users)
             SELECT date_trunc('hour', created_at, 'UTC'), count(*) FROM users WHERE number > $1 AND number <= $2 GROUP BY 1
             ON CONFLICT (hour) DO UPDATE SET new_users = known.new_users + excluded.new_users",
        )
        .bind(from)
        .bind(to)
        .execute(&mut *transaction)
        .await?;
    }
    // Without new users, nothing is written.
    let update = "UPDATE rollup_heads
                SET user_number = $2,
                    seen_number = CASE WHEN $3 THEN coalesce((SELECT max(number) FROM users), 0) ELSE seen_number END,
                    seen_number_at = CASE WHEN $3 THEN now() ELSE seen_number_at END
                WHERE shard = $1 AND (user_number <> $2 OR seen_number <> (SELECT coalesce(max(number), 0) FROM users))";
    sqlx::query(update).bind(SHARD).bind(to).bind(to == seen).execute(transaction).await?;
    Ok(to < seen)
}
