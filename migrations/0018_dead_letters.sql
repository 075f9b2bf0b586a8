-- Entries of the outbox that cannot be written to the ledger, as they lay there: `src/ledger/letters/`. A row is never deleted.
CREATE TABLE dead_letters (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Where it lay.
    shard       INTEGER NOT NULL,
    stream_id   TEXT NOT NULL,
    entry       BYTEA NOT NULL,
    -- What can be read of it. No foreign key: Postgres may not know the user.
    event_id    UUID,
    user_id     UUID,
    kind        VARCHAR(20),
    points      BIGINT,
    -- `unknown_user`, `unreadable`, `refused` (by Postgres), and the words of it.
    reason      VARCHAR(20) NOT NULL,
    detail      TEXT NOT NULL,
    -- `waiting`, `retrying` (an operator wants it written; the leader does so), `written`, `discarded`.
    state       VARCHAR(10) NOT NULL DEFAULT 'waiting',
    -- Whether Redis still has what it moved: not after the board was loaded from the ledger.
    in_redis    BOOLEAN NOT NULL DEFAULT TRUE,
    -- Who decided last, and why.
    decided_at  TIMESTAMPTZ,
    decided_by  VARCHAR(100),
    decided_why TEXT
);
-- The same entry may be delivered again.
CREATE UNIQUE INDEX dead_letters_entry ON dead_letters (shard, stream_id, md5(entry));
-- What is still to be decided, or done: the leader asks once a second.
CREATE INDEX dead_letters_open ON dead_letters (state, reason) WHERE state IN ('waiting', 'retrying');
