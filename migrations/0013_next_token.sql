-- Game tokens and proven tokens need no rows of their own: one that was redeemed is an attempt, and one that was not is known to its
-- session, or to the attempt that it was issued for. contract/0014 makes action_tokens a view of them.

-- The attempt that such a token is redeemed for: a UUID v8 (RFC 9562) of its SHA-256 (`src/token/act.rs`).
CREATE FUNCTION attempt_of(token_hash TEXT) RETURNS UUID LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (substr(token_hash, 1, 12) || '8' || substr(token_hash, 14, 3)
            || substr('89ab', (position(substr(token_hash, 17, 1) IN '0123456789abcdef') - 1) % 4 + 1, 1)
            || substr(token_hash, 18, 15))::uuid
$$;

ALTER TABLE game_sessions
    -- The token that the session goes on with: SHA-256 in hex, and when it went out. Of one that has ended, the token that was not used.
    ADD COLUMN next_hash   VARCHAR(64),
    ADD COLUMN next_at     TIMESTAMPTZ,
    -- Which of the session's tokens that is, from 0 on: entries may arrive in any order.
    ADD COLUMN next_number BIGINT;
-- Each award moves its session's row: room for the next version of it on its own page.
ALTER TABLE game_sessions SET (fillfactor = 85);

ALTER TABLE user_action
    -- SHA-256 in hex of the proven token, which is known from the start.
    ADD COLUMN proven_hash VARCHAR(64);
