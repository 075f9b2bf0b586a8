-- Game tokens and proven tokens are shown from where they are known anyway (0013); nodes of before that write them to a table, each twice.
-- Who redeemed what is with the attempts since 0003. Of those that were not redeemed, the ones are taken over that still may be.

-- Who waits for a table waits in front of everybody else: if it takes long, the next try is in a minute. Nobody uses the first any
-- more but whoever reads or dumps it, so that is waited for with nothing in hand; then comes what writers lock first; and dropping
-- foreign keys takes the tables that they point to.
SET LOCAL lock_timeout = '2s';
LOCK TABLE action_tokens IN ACCESS EXCLUSIVE MODE;
SELECT FROM ledger_heads FOR UPDATE;
LOCK TABLE users, game_sessions IN ACCESS EXCLUSIVE MODE;

-- What a node of this version wrote down is not marked in the table.
DELETE FROM action_tokens USING user_action
WHERE is_active AND user_action.id = attempt_of(action_token_hash) AND (completed_at IS NOT NULL OR refused_at IS NOT NULL);

WITH newest AS (
    SELECT DISTINCT ON (session_id) session_id, action_token_hash, created_at FROM action_tokens
    WHERE is_active AND expires_at > now() AND action_type IS NULL ORDER BY session_id, created_at DESC)
UPDATE game_sessions SET next_hash = action_token_hash, next_at = newest.created_at, next_number = actions_count
FROM newest
WHERE newest.session_id = game_sessions.session_id AND newest.created_at > coalesce(next_at, '-infinity');

UPDATE user_action SET proven_hash = action_token_hash FROM action_tokens
WHERE is_active AND action_tokens.expires_at > now() AND action_tokens.action_type IS NOT NULL
      AND user_action.id = attempt_of(action_token_hash);

DROP TABLE action_tokens;

-- Found by `id`, which is `attempt_of(<SHA-256 of the token in hex>)`, if it was redeemed or comes from a proof; the others by their session.
CREATE VIEW action_tokens AS
SELECT id, coalesce(token_hash, proven_hash) AS action_token_hash, session_id, action_type, user_id,
       completed_at IS NULL AND refused_at IS NULL AND expires_at > now() AS is_active,
       created_at, expires_at, coalesce(completed_at, refused_at) AS used_at
FROM user_action
-- An anti-spam token's id is a UUID v7.
WHERE coalesce(token_hash, proven_hash) IS NOT NULL AND substr(id::text, 15, 1) = '8'
UNION ALL
SELECT attempt_of(next_hash), next_hash, session_id, NULL, user_id, is_active AND expires_at > now(), next_at, expires_at, NULL
FROM game_sessions
WHERE next_hash IS NOT NULL AND NOT EXISTS (SELECT FROM user_action WHERE user_action.id = attempt_of(next_hash));
