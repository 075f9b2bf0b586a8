-- Game sessions. Written from the outbox, where a session's entries may arrive in any order.
CREATE TABLE game_sessions (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id    VARCHAR(50) NOT NULL UNIQUE,
    user_id       UUID NOT NULL REFERENCES users (id),
    is_active     BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    ended_at      TIMESTAMPTZ,
    actions_count BIGINT NOT NULL DEFAULT 0
);
-- The sweep looks for sessions that ran out.
CREATE INDEX idx_sessions_expires_at ON game_sessions (expires_at) WHERE is_active;
CREATE INDEX idx_sessions_user_id ON game_sessions (user_id);

-- Game tokens, each by its SHA-256 in hex; none is stored.
CREATE TABLE action_tokens (
    id                BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_token_hash VARCHAR(64) NOT NULL UNIQUE,
    session_id        VARCHAR(50) NOT NULL REFERENCES game_sessions (session_id),
    user_id           UUID NOT NULL REFERENCES users (id),
    is_active         BOOLEAN NOT NULL DEFAULT TRUE,
    created_at        TIMESTAMPTZ NOT NULL,
    expires_at        TIMESTAMPTZ NOT NULL,
    used_at           TIMESTAMPTZ
);
-- The sweep looks for tokens that are older than the retention.
CREATE INDEX idx_tokens_expires_at ON action_tokens (expires_at);
