-- The ledger by months. Runs when no node is connected that is older than 0006, after its entries have been chained; so every
-- entry has its place. See migrations/README.md.

-- Who waits for a table waits in front of everybody else: if it takes long, the next try is in a minute.
SET LOCAL lock_timeout = '10s';
-- First what writers and operators lock first, in their order, so that nobody waits crosswise.
SELECT FROM ledger_heads FOR UPDATE;
LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE score_history IN ACCESS EXCLUSIVE MODE;

ALTER TABLE score_history
    ALTER COLUMN seq SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL,
    DROP CONSTRAINT score_history_pkey;
-- An event is unique within its month; over all of them by the look under the head's lock (`src/ledger/awards.rs`).
ALTER TABLE score_history ADD CONSTRAINT score_history_whole_pkey PRIMARY KEY (event_id, created_at);
ALTER INDEX score_history_user_hlc RENAME TO score_history_whole_user_hlc;
ALTER INDEX score_history_held RENAME TO score_history_whole_held;
ALTER INDEX score_history_shard_seq RENAME TO score_history_whole_shard_seq;
ALTER INDEX score_history_unchained RENAME TO score_history_whole_unchained;
ALTER TABLE score_history RENAME TO score_history_whole;

CREATE TABLE score_history (
    LIKE score_history_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (event_id, created_at),
    FOREIGN KEY (user_id) REFERENCES users (id)
) PARTITION BY RANGE (created_at);
-- As before: a user's history in order, what is held, the walk along the chain; and what has no place in it, which is nothing.
CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
CREATE INDEX score_history_held ON score_history (user_id) WHERE held;
CREATE INDEX score_history_shard_seq ON score_history (shard, seq);
CREATE INDEX score_history_unchained ON score_history (hlc_us) WHERE seq IS NULL;

-- What no month has: where a clock goes wrong, nothing is lost.
CREATE TABLE score_history_rest PARTITION OF score_history DEFAULT;

-- Everything before next month (UTC) is the first part, with its rows and indexes as they are. `src/ledger/parts.rs` makes the
-- months after it, and reads the bounds from the names.
DO $$
DECLARE
    bound TIMESTAMPTZ := date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
    part  TEXT := 'score_history_before_' || to_char(bound AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    WITH late AS (DELETE FROM score_history_whole WHERE created_at >= bound RETURNING *)
    INSERT INTO score_history_rest SELECT * FROM late;
    EXECUTE format('ALTER TABLE score_history_whole RENAME TO %I', part);
    EXECUTE format('ALTER TABLE score_history ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', part, bound);
END
$$;
