-- Proven tokens (action-verifier.md) stand beside the game's: they need no session, and are for one action.
ALTER TABLE action_tokens
    ALTER COLUMN session_id DROP NOT NULL,
    ADD COLUMN action_type VARCHAR(50);
-- The sweep looks for tokens that ran out unused.
CREATE INDEX idx_tokens_active ON action_tokens (expires_at) WHERE is_active;

ALTER TABLE users
    -- Not on any board, and no award is taken.
    ADD COLUMN banned_at TIMESTAMPTZ,
    -- Awards are taken, but not shown until an operator confirms or voids them.
    ADD COLUMN quarantined_at TIMESTAMPTZ,
    -- The event that takes away what is held, and its row in the audit, until that is done.
    ADD COLUMN voids_id UUID,
    -- When any of them changed last: nodes look at what is recent and make Redis agree.
    ADD COLUMN restricted_at TIMESTAMPTZ,
    -- The board's moment up to which nothing is held any more; entries may arrive in any order.
    ADD COLUMN held_cleared BIGINT NOT NULL DEFAULT 0;
CREATE INDEX users_restricted_at ON users (restricted_at) WHERE restricted_at IS NOT NULL;

ALTER TABLE score_history
    -- Points that are in the total, but not shown.
    ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE,
    -- Of an operator's entry: who and why.
    ADD COLUMN note JSONB;
CREATE INDEX score_history_held ON score_history (user_id) WHERE held;

-- Everything that operators did.
CREATE TABLE admin_audit (
    id         UUID PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- A username, or `cli` with the system's user.
    actor      VARCHAR(100) NOT NULL,
    -- `grant`, `revoke`, `ban`, `unban`, `adjust`, `quarantine`, `approve`, `void`.
    action     VARCHAR(20) NOT NULL,
    user_id    UUID NOT NULL REFERENCES users (id),
    reason     TEXT NOT NULL,
    detail     JSONB,
    -- Of an adjustment that may be repeated: its id is the event's.
    idempotency_key VARCHAR(64),
    UNIQUE (actor, idempotency_key)
);
CREATE INDEX admin_audit_user ON admin_audit (user_id, created_at);
CREATE INDEX admin_audit_created ON admin_audit (created_at);

-- What looks like cheating, counted by suspect, sign and UTC hour.
CREATE TABLE suspicions (
    -- A user's UUID, or an address.
    suspect  VARCHAR(50) NOT NULL,
    is_user  BOOLEAN NOT NULL,
    -- `replayed`, `forged`, `foreign`, `expired`, `proof_failed`, `too_fast`, `flooding`, `bad_login`.
    sign     VARCHAR(20) NOT NULL,
    hour     TIMESTAMPTZ NOT NULL,
    count    BIGINT NOT NULL,
    first_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (suspect, sign, hour)
);
-- Suspects are ranked over the last hours, and old rows are swept.
CREATE INDEX suspicions_hour ON suspicions (hour);
