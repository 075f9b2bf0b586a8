//! Ended game sessions, by hour and size.

use sqlx::PgConnection;

use crate::ledger::chain::SHARD;

/// Lower bounds of the size classes, in actions.
pub const SESSION_CLASSES: [i64; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];

/// Ended sessions that are not in `rollup_sessions` yet, one row each, in its form.
pub const UNCOUNTED_SESSIONS: &str = "
    SELECT date_trunc('hour', created_at, 'UTC') AS hour,
           (SELECT max(class) FROM unnest('{0, 1, 2, 5, 10, 20, 50, 100, 200}'::bigint[]) AS class WHERE class <= actions_count) AS min_actions,
           1::bigint AS sessions, actions_count AS actions, extract(epoch FROM ended_at - created_at)::bigint AS seconds
    FROM game_sessions WHERE id > (SELECT session_id FROM rollup_heads WHERE shard = 0) AND ended_at IS NOT NULL";

/// Rows per transaction.
const BATCH: i64 = 20_000;

/// Adds sessions in order of their rows, up to the first that may still change. Postgres has all entries up to `written_to_ms`, so a
/// session that expired before then is final. Returns true if there may be more.
pub async fn add_batch(transaction: &mut PgConnection, written_to_ms: i64) -> Result<bool, sqlx::Error> {
    let (end, full): (Option<i64>, bool) = sqlx::query_as(
        "SELECT coalesce(min(id) FILTER (WHERE ended_at IS NULL OR expires_at >= to_timestamp($2 / 1000.0::float8)) - 1, max(id)),
                count(*) = $3
         FROM (SELECT id, ended_at, expires_at FROM game_sessions
               WHERE id > (SELECT session_id FROM rollup_heads WHERE shard = $1) ORDER BY id LIMIT $3) it",
    )
    .bind(SHARD)
    .bind(written_to_ms)
    .bind(BATCH)
    .fetch_one(&mut *transaction)
    .await?;
    let Some(end) = end else { return Ok(false) };
    let added = sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO rollup_sessions AS known (hour, min_actions, sessions, actions, seconds)
         SELECT hour, min_actions, count(*), sum(actions), sum(seconds) FROM ({UNCOUNTED_SESSIONS} AND id <= $1) it GROUP BY hour, min_actions
         ON CONFLICT (hour, min_actions) DO UPDATE
         SET sessions = known.sessions + excluded.sessions, actions = known.actions + excluded.actions,
             seconds = known.seconds + excluded.seconds"
    )));
    let added = added.bind(end).execute(&mut *transaction).await?.rows_affected();
    if added > 0 {
        let moved = sqlx::query("UPDATE rollup_heads SET session_id = $2 WHERE shard = $1");
        moved.bind(SHARD).bind(end).execute(transaction).await?;
    }
    Ok(full && added > 0)
}
