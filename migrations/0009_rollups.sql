-- What operators look at, summed up from the rows of the other tables by a task of the leader (`src/ledger/rollup/`), so that an
-- answer does not depend on how long the ledger is. Months that are detached stay in the sums.

-- How far the sums have come. Whoever adds to them locks the row first, and moves it in the same transaction.
CREATE TABLE rollup_heads (
    -- The chain's, as in ledger_heads.
    shard          SMALLINT PRIMARY KEY,
    -- The newest entry of the ledger that is in the sums.
    seq            BIGINT NOT NULL DEFAULT 0,
    -- The newest row of game_sessions; those before it have ended.
    session_id     BIGINT NOT NULL DEFAULT 0,
    -- The newest of users, by number.
    user_number    BIGINT NOT NULL DEFAULT 0,
    -- The newest that there was at a moment; all before it are committed some time later.
    seen_number    BIGINT NOT NULL DEFAULT 0,
    seen_number_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO rollup_heads (shard) VALUES (0);

-- By UTC hour. What operators do to totals is no activity, and in none of these sums.
CREATE TABLE rollup_hours (
    hour       TIMESTAMPTZ PRIMARY KEY,
    awards     BIGINT NOT NULL DEFAULT 0,
    -- Scores end at 2^53, but their sum over all users does not end at 2^63.
    points     NUMERIC NOT NULL DEFAULT 0,
    -- Users with an award in this hour.
    users      BIGINT NOT NULL DEFAULT 0,
    -- Those of them who had none earlier in this day, by the order of the ledger: their sum over a day is the day's users.
    day_users  BIGINT NOT NULL DEFAULT 0,
    -- Users whose newest award is in this hour: their sum from an hour on is who was active since.
    last_users BIGINT NOT NULL DEFAULT 0,
    -- Users who registered in this hour.
    new_users  BIGINT NOT NULL DEFAULT 0
);

-- By user: all awards, and those of the hour, the day, the week (from Monday) and the month in which the newest one is.
CREATE TABLE rollup_users (
    user_id      UUID PRIMARY KEY,
    last_at      TIMESTAMPTZ NOT NULL,
    awards       BIGINT NOT NULL,
    hour_awards  BIGINT NOT NULL,
    hour_points  BIGINT NOT NULL,
    day_awards   BIGINT NOT NULL,
    day_points   BIGINT NOT NULL,
    week_awards  BIGINT NOT NULL,
    week_points  BIGINT NOT NULL,
    month_awards BIGINT NOT NULL,
    month_points BIGINT NOT NULL
-- Room for the next version of a row on its own page, so that no index changes.
) WITH (fillfactor = 80);

-- The most active of the present hour, day, week and month, at most a hundred of each. Awards only add to these counts, so who is
-- not among them comes in by an award of their own, and by nothing else.
CREATE TABLE rollup_best (
    period  VARCHAR(5) NOT NULL,
    begins  TIMESTAMPTZ NOT NULL,
    user_id UUID NOT NULL,
    awards  BIGINT NOT NULL,
    points  BIGINT NOT NULL,
    PRIMARY KEY (period, begins, user_id)
);

-- Sessions that have ended, by the UTC hour in which they began and by how many actions they had.
CREATE TABLE rollup_sessions (
    hour     TIMESTAMPTZ NOT NULL,
    -- The least actions of this class.
    least    BIGINT NOT NULL,
    sessions BIGINT NOT NULL,
    actions  BIGINT NOT NULL,
    -- From the beginning to the end.
    seconds  BIGINT NOT NULL,
    PRIMARY KEY (hour, least)
);

-- Requests that were refused, by the UTC hour, counted by the nodes.
CREATE TABLE rollup_refusals (
    hour  TIMESTAMPTZ NOT NULL,
    code  VARCHAR(30) NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (hour, code)
);

-- A user's attempts that came to nothing: those that were issued lately, ran out or were refused. They are few, so the index is small;
-- one over all attempts would cost a write five times as much (migrations/README.md).
CREATE INDEX user_action_unfinished ON user_action (user_id, created_at) WHERE completed_at IS NULL;
-- A search by the beginning of a name; users_username_key is ordered by the database's collation.
CREATE INDEX users_username_prefix ON users (lower(username) text_pattern_ops);
