-- Entries of the ledger are chained: each carries the SHA-256 of the one before it and of itself, so that a row that was changed,
-- taken out or put in is found (`laurel verify --ledger`). `src/ledger/chain.rs` has the bytes that are hashed.
ALTER TABLE score_history
    -- Each shard has a chain of its own.
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0,
    -- The place in it, from 1 on without gaps. Nodes that are older than this write none; what they wrote is chained once they are
    -- gone (migrations/contract).
    ADD COLUMN seq   BIGINT,
    ADD COLUMN hash  BYTEA;
-- The walk along a chain. Not unique: what was put in twice has to be found, and a unique index could not span the months.
CREATE INDEX score_history_shard_seq ON score_history (shard, seq);
-- What is still to be chained, in the order in which that happens.
CREATE INDEX score_history_unchained ON score_history (hlc_us) WHERE seq IS NULL;

-- Where each chain ends. Whoever appends to one locks its row first.
CREATE TABLE ledger_heads (
    shard  SMALLINT PRIMARY KEY,
    -- The newest entry; 0 and 32 zero bytes before the first.
    seq    BIGINT NOT NULL,
    hash   BYTEA NOT NULL,
    -- The greatest moment of the board in it.
    hlc_us BIGINT NOT NULL,
    -- In which epoch a board's Redis was last found to hold what the ledger holds; one that says an earlier one was left behind.
    epoch  BIGINT NOT NULL DEFAULT 0
);
INSERT INTO ledger_heads (shard, seq, hash, hlc_us)
SELECT 0, 0, decode(repeat('00', 32), 'hex'), coalesce(max(hlc_us), 0) FROM score_history;

-- Hashes that a node has signed. Whoever can write here, but has not the key, cannot recompute the chain unseen.
CREATE TABLE ledger_checkpoints (
    shard      SMALLINT NOT NULL,
    seq        BIGINT NOT NULL,
    hash       BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- A compact JWS over all of the above.
    signature  TEXT NOT NULL,
    -- Everything up to here was detached; the chain is walked from here on.
    begins     BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (shard, seq)
);
