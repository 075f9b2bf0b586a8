-- Over how many shards of Redis the board is split, and where each shard stands. With one shard the ledger's head says it.

CREATE TABLE board_layout (
    singleton    BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    shards INTEGER CHECK (shards >= 1)  -- none: nobody has opened the board yet
);

INSERT INTO board_layout (shards) SELECT CASE WHEN epoch > 0 OR seq > 0 THEN 1 END FROM ledger_heads WHERE shard = 0;

CREATE TABLE board_shards (
    shards INTEGER NOT NULL,
    shard  INTEGER NOT NULL,
    epoch  BIGINT NOT NULL DEFAULT 0,   -- the one that was confirmed last
    hlc_us BIGINT NOT NULL DEFAULT 0,   -- the greatest moment of the shard in the ledger
    PRIMARY KEY (shards, shard),
    CHECK (shard >= 0 AND shard < shards)
);
