//! Game sessions that have ended, by hour and size.

/// Sessions are told apart by how many actions they have at least.
pub const SESSION_CLASSES: [i64; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];

/// Sessions that have ended, but are not in `rollup_sessions` yet, a row each, as they will stand there.
pub const UNCOUNTED_SESSIONS: &str = "
    SELECT date_trunc('hour', created_at, 'UTC') AS hour,
           (ARRAY[0, 1, 2, 5, 10, 20, 50, 100, 200])[width_bucket(actions_count, ARRAY[0, 1, 2, 5, 10, 20, 50, 100, 200]::bigint[])]::bigint
               AS least,
           1::bigint AS sessions, actions_count AS actions, extract(epoch FROM ended_at - created_at)::bigint AS seconds
    FROM game_sessions WHERE id > (SELECT session_id FROM rollup_heads WHERE shard = 0) AND ended_at IS NOT NULL";
