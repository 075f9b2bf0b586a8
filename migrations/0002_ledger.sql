-- One row an attempt. Written from the outbox, where `issued`, `awarded` and `refused` may arrive in any order.
CREATE TABLE user_action (
    -- The token's id: `actionId`, and the `jti` of an anti-spam token.
    id            UUID PRIMARY KEY,
    user_id       UUID NOT NULL REFERENCES users (id),
    action_type   VARCHAR(50) NOT NULL,
    -- What it was worth when it was issued.
    score_value   BIGINT NOT NULL,
    proof_of_work JSONB,
    -- SHA-256 in hex; known once the token comes back.
    token_hash    VARCHAR(64),
    session_id    VARCHAR(50),
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    completed_at  TIMESTAMPTZ,
    -- When a proof failed, which spent the token.
    refused_at    TIMESTAMPTZ
);

-- The ledger: what every total is the sum of.
CREATE TABLE score_history (
    -- The token's id. A token is redeemed once; so an entry that is delivered again meets its own row.
    event_id          UUID PRIMARY KEY,
    user_id           UUID NOT NULL REFERENCES users (id),
    action_type       VARCHAR(50) NOT NULL,
    points_earned     BIGINT NOT NULL,
    action_token_hash VARCHAR(64) NOT NULL,
    score_before      BIGINT NOT NULL,
    score_after       BIGINT NOT NULL,
    -- The board's moment of the award: µs by Redis' clock, unique and growing. It settles who reached a score first.
    hlc_us            BIGINT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    CHECK (score_after = score_before + points_earned)
);
-- A user's history in order: verify walks it, and its newest row says when the present score was reached.
CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
