-- Every table of Laurel. migrations/README.md explains them.

-- Players. Boards and tokens carry the UUID, the game API shows the number. Either one finds the user.
CREATE TABLE users (
    id             UUID PRIMARY KEY,
    number         BIGINT GENERATED ALWAYS AS IDENTITY,
    username       VARCHAR(50) NOT NULL,
    email          VARCHAR(255) NOT NULL,
    -- Argon2id in PHC format. Anything else (seeded users) can never log in.
    password_hash  TEXT NOT NULL,
    role           VARCHAR(20) NOT NULL DEFAULT 'player',
    -- Sum of the user's ledger entries, updated in the same transaction. 2^53 - 1 is the largest integer that a Redis score holds exactly.
    score          BIGINT NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 9007199254740991),
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Banned users are on no board and get no awards.
    banned_at      TIMESTAMPTZ,
    -- Quarantined users keep earning, but new points stay off the board until an admin approves or voids them.
    quarantined_at TIMESTAMPTZ,
    -- Event id of a void that the ledger does not have yet. It is also the id of its row in admin_audit.
    voids_id       UUID,
    -- Last change of a ban, a quarantine or a void. Nodes compare recent ones with Redis.
    restricted_at  TIMESTAMPTZ
-- Every award updates the score. Free space on each page lets Postgres write the new row version next to the old one, without
-- touching the indexes.
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX users_number_key ON users (number);
-- Case-insensitive. Logins look users up by them.
CREATE UNIQUE INDEX users_username_key ON users (lower(username));
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
CREATE INDEX users_restricted_at ON users (restricted_at) WHERE restricted_at IS NOT NULL;
-- Admins search for any part of a name. The extension pg_trgm, which ships with Postgres, makes an index for that possible. Without it
-- Postgres scans the table: 0.4 s for a million users. Not every role may create the extension, and not every server has it.
DO $$
DECLARE
    extension_schema TEXT;
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    SELECT extnamespace::regnamespace INTO extension_schema FROM pg_extension WHERE extname = 'pg_trgm';
    EXECUTE format('CREATE INDEX users_username_trigrams ON users USING gin (lower(username) %s.gin_trgm_ops)', extension_schema);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'no index for user searches: %', SQLERRM;
END
$$;

-- Users with attempts, sessions or ledger entries stay. The writer of these rows reads its users in the same transaction and updates those
-- with new entries (src/ledger/outbox/). Foreign keys would look each of them up twice more for every award: 20 of 68 us of Postgres.
CREATE FUNCTION keep_users() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    has_history BOOLEAN;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        RETURN NEW;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.score_history WHERE user_id = $1) OR EXISTS (SELECT FROM %1$I.game_sessions WHERE user_id = $1)
                           OR EXISTS (SELECT FROM %1$I.user_action WHERE user_id = $1)', TG_TABLE_SCHEMA)
    INTO has_history USING OLD.id;
    IF has_history OR OLD.score <> 0 THEN
        RAISE EXCEPTION 'user % has a history: the row cannot be deleted, and its id cannot be changed', OLD.id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER users_kept BEFORE DELETE OR UPDATE OF id ON users
    FOR EACH ROW EXECUTE FUNCTION keep_users();

-- Users who log in through an external identity provider. Their row in users is created with the first token, with an unusable
-- password hash and e-mail address, so only the provider can log them in.
CREATE TABLE external_identities (
    -- The token's `iss`, byte for byte.
    issuer  TEXT NOT NULL,
    -- The token's `sub`, unique only within the issuer.
    subject VARCHAR(255) NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id),
    -- Also stops two nodes that see a new identity at the same time from creating two users.
    PRIMARY KEY (issuer, subject)
);

-- One row per attempt at an action, from the outbox. `issued`, `awarded` and `refused` entries may arrive in any order.
CREATE TABLE user_action (
    -- Token id: `actionId`, and the `jti` of an anti-spam token. For game tokens and verified tokens: attempt_of(SHA-256 of the token).
    id            UUID PRIMARY KEY,
    user_id       UUID NOT NULL,
    action_type   VARCHAR(50) NOT NULL,
    -- Points the action was worth when the token was issued.
    score_value   BIGINT NOT NULL,
    proof_of_work JSONB,
    -- SHA-256 in hex, set when the token is redeemed.
    token_hash    VARCHAR(64),
    session_id    VARCHAR(50),
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    completed_at  TIMESTAMPTZ,
    -- Set when a proof failed and spent the token.
    refused_at    TIMESTAMPTZ,
    -- SHA-256 in hex of a verified token, set when it is issued.
    proven_hash   VARCHAR(64)
);
-- A user's open, expired and refused attempts. They are few, so the index is small; an index over all attempts would cost each write five
-- times as much (migrations/README.md).
CREATE INDEX user_action_unfinished ON user_action (user_id, created_at) WHERE completed_at IS NULL;

-- Id of the attempt that redeems a game token or a verified token: a UUID v8 (RFC 9562) made of its SHA-256 (src/token/act.rs).
CREATE FUNCTION attempt_of(token_hash TEXT) RETURNS UUID LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (substr(token_hash, 1, 12) || '8' || substr(token_hash, 14, 3)
            || substr('89ab', (position(substr(token_hash, 17, 1) IN '0123456789abcdef') - 1) % 4 + 1, 1)
            || substr(token_hash, 18, 15))::uuid
$$;

-- Game sessions, from the outbox. A session's entries may arrive in any order.
CREATE TABLE game_sessions (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id    VARCHAR(50) NOT NULL UNIQUE,
    user_id       UUID NOT NULL,
    is_active     BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    ended_at      TIMESTAMPTZ,
    actions_count BIGINT NOT NULL DEFAULT 0,
    -- The session's current token: its SHA-256 in hex, and when it was issued. After the end: the token that was left unused.
    next_hash     VARCHAR(64),
    next_at       TIMESTAMPTZ,
    -- Sequence number of that token within the session, from 0. Decides which entry is newer.
    next_number   BIGINT
-- Every award updates its session: free space for the new row version on the same page.
) WITH (fillfactor = 85);
-- The sweep looks for expired sessions.
CREATE INDEX idx_sessions_expires_at ON game_sessions (expires_at) WHERE is_active;
-- A user's sessions, for admins.
CREATE INDEX idx_sessions_user_id ON game_sessions (user_id);

-- Game tokens and verified tokens, derived from attempts and sessions. Redeemed tokens and tokens that came from a proof have a row in
-- user_action; the others are their session's current token.
CREATE VIEW action_tokens AS
SELECT id, coalesce(token_hash, proven_hash) AS action_token_hash, session_id, action_type, user_id,
       completed_at IS NULL AND refused_at IS NULL AND expires_at > now() AS is_active,
       created_at, expires_at, coalesce(completed_at, refused_at) AS used_at
FROM user_action
-- Version 8. The id of an anti-spam token is a UUID v7.
WHERE coalesce(token_hash, proven_hash) IS NOT NULL AND substr(id::text, 15, 1) = '8'
UNION ALL
SELECT attempt_of(next_hash), next_hash, session_id, NULL, user_id, is_active AND expires_at > now(), next_at, expires_at, NULL
FROM game_sessions
WHERE next_hash IS NOT NULL AND NOT EXISTS (SELECT FROM user_action WHERE user_action.id = attempt_of(next_hash));

-- The ledger: every total is the sum of its user's entries. Partitioned by month (UTC). Each entry carries the SHA-256 of the previous
-- entry and of itself, so `laurel verify --ledger` finds changed, removed and inserted rows. src/ledger/chain/ defines the hashed bytes.
CREATE TABLE score_history (
    -- Token id. A token is redeemed once, so an entry that is delivered twice finds its own row.
    event_id          UUID NOT NULL,
    user_id           UUID NOT NULL,
    action_type       VARCHAR(50) NOT NULL,
    points_earned     BIGINT NOT NULL,
    -- Empty for entries without a token: adjustments, seeds, totals carried over.
    action_token_hash VARCHAR(64) NOT NULL,
    score_before      BIGINT NOT NULL,
    score_after       BIGINT NOT NULL,
    -- Hybrid logical clock of the award, in microseconds by Redis' clock: unique and growing. Decides ties: who reached a score first.
    hlc_us            BIGINT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    -- Points that count in the total but are not shown.
    held              BOOLEAN NOT NULL DEFAULT FALSE,
    -- Event id of the void that removed the points. Such an entry counts on no board.
    voided_by         UUID,
    -- Of an award: what its proof established for boards, `{"value": n, "subscore": n, "tags": {"name": "value"}}` with the keys that exist.
    -- Of an admin's entry: actor and reason.
    note              JSONB,
    -- Number of the chain. There is one so far.
    shard             SMALLINT NOT NULL DEFAULT 0,
    -- Position in the chain, from 1, without gaps.
    seq               BIGINT NOT NULL,
    hash              BYTEA NOT NULL,
    -- Unique within a month. The writer checks the other months while it holds the lock on ledger_heads (src/ledger/outbox/awards.rs).
    PRIMARY KEY (event_id, created_at),
    CHECK (score_after = score_before + points_earned),
    -- An award without a token hash would count on no board and in no rollup.
    CONSTRAINT score_history_award_has_token
        CHECK (action_token_hash <> '' OR action_type IN ('adjust', 'void', 'seed', 'carried'))
) PARTITION BY RANGE (created_at);
-- A user's history in order. The newest row that changed the score tells when it was reached.
CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
-- What an approval or a void changes, and what is held of a total. Few rows.
CREATE INDEX score_history_held ON score_history (user_id) WHERE held OR voided_by IS NOT NULL;
-- The walk along the chain. Not unique: verification has to find duplicates, and a unique index cannot span partitions.
CREATE INDEX score_history_shard_seq ON score_history (shard, seq);
-- The entries of a board's period. Entries are appended almost in the order of their clocks, so this index takes a few pages.
CREATE INDEX score_history_hlc ON score_history USING brin (hlc_us) WITH (pages_per_range = 32, autosummarize = on);
-- Entries outside all months, should a clock go wrong.
CREATE TABLE score_history_rest PARTITION OF score_history DEFAULT;
-- The first partition ends with this month. src/ledger/partitions/ creates the later ones and reads their bounds from their names.
DO $$
DECLARE
    bound TIMESTAMPTZ := date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF score_history FOR VALUES FROM (MINVALUE) TO (%L)',
                   'score_history_before_' || to_char(bound AT TIME ZONE 'UTC', 'YYYY_MM'), bound);
END
$$;

-- Approvals and voids of held points, from the outbox: the first one at or after a held entry's clock decides about it, in whatever order
-- they arrive (src/ledger/outbox/held_decisions.rs). Rows are never deleted.
CREATE TABLE held_decisions (
    -- The void's event id, or an id of the approval.
    event_id UUID PRIMARY KEY,
    user_id  UUID NOT NULL REFERENCES users (id),
    -- Clock value of the decision.
    hlc_us   BIGINT NOT NULL,
    is_void  BOOLEAN NOT NULL
);
CREATE INDEX held_decisions_user ON held_decisions (user_id, hlc_us);

-- Decisions that change which of a user's awards count on boards. Each row is inserted in the transaction that makes its decision true.
-- The leader computes the user's entries again, first those of open periods, then those of closed ones, and deletes the row.
CREATE TABLE board_corrections (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    UUID NOT NULL,
    -- `ban`, `unban`, `quarantine`, `approve`, `void`, or `late_award` for a dead letter that was written.
    action     VARCHAR(20) NOT NULL,
    -- Actor and reason, as in admin_audit.
    actor      VARCHAR(100) NOT NULL,
    reason     TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Whether all open periods have the change.
    is_followed BOOLEAN NOT NULL DEFAULT FALSE
);

-- The end of each chain. Every writer locks this row first.
CREATE TABLE ledger_heads (
    shard  SMALLINT PRIMARY KEY,
    -- Newest entry and its hash: 0 and 32 zero bytes in an empty ledger.
    seq    BIGINT NOT NULL,
    hash   BYTEA NOT NULL,
    -- Newest clock value in the ledger.
    hlc_us BIGINT NOT NULL,
    -- Epoch in which Redis was last found to match the ledger. A Redis in an earlier epoch was left behind. For a board of one shard.
    epoch  BIGINT NOT NULL DEFAULT 0
);
INSERT INTO ledger_heads (shard, seq, hash, hlc_us) VALUES (0, 0, decode(repeat('00', 32), 'hex'), 0);

-- Signed hashes of the chain. Who can write to Postgres but lacks the key cannot recompute the chain unnoticed.
CREATE TABLE ledger_checkpoints (
    shard      SMALLINT NOT NULL,
    seq        BIGINT NOT NULL,
    hash       BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- Compact JWS over the columns above and `is_chain_start`.
    signature  TEXT NOT NULL,
    -- Entries up to here were detached: verification starts after this entry.
    is_chain_start BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (shard, seq)
);

-- Number of Redis shards of the board. With one shard, ledger_heads holds its epoch and clock.
CREATE TABLE board_layout (
    singleton BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    -- NULL until a board was opened.
    shards INTEGER CHECK (shards >= 1)
);
INSERT INTO board_layout (shards) VALUES (NULL);
CREATE TABLE board_shards (
    shards INTEGER NOT NULL,
    shard  INTEGER NOT NULL,
    -- Epoch that was opened last.
    epoch  BIGINT NOT NULL DEFAULT 0,
    -- Newest clock value of this shard in the ledger.
    hlc_us BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (shards, shard),
    CHECK (shard >= 0 AND shard < shards)
);

-- Every board but `global` that there ever was, so that no id is used for another one. The leader adds those of the file, admins others.
CREATE TABLE boards (
    id         VARCHAR(40) PRIMARY KEY,
    -- When an admin created it, or the leader first found it in the file, in microseconds by Redis' clock.
    since_us   BIGINT NOT NULL,
    -- The keys of `boards.toml`. NULL: it is or was in the file.
    definition JSONB,
    -- As in admin_audit. NULL: it is or was in the file.
    created_by VARCHAR(100),
    -- Grows with each change of any definition. A change locks the table, so a reader who knows one number needs only greater ones.
    version    BIGINT NOT NULL DEFAULT 0,
    CHECK ((definition IS NULL) = (created_by IS NULL))
);
CREATE INDEX boards_version ON boards (version) WHERE definition IS NOT NULL;

-- The periods of the boards that follow the ledger. The leader adds one when it begins.
CREATE TABLE board_periods (
    -- Id of the board.
    board      VARCHAR(40) NOT NULL,
    -- `2026-11-28`, `2026-W48`, `2026-11`, `2026`, `p17` or `all`.
    period     VARCHAR(20) NOT NULL,
    -- An award with a clock from here on belongs to it…
    starts_us  BIGINT NOT NULL,
    -- … up to here, exclusive. The end of a period that never ends is 2^63 - 1.
    ends_us    BIGINT NOT NULL,
    -- Awards before this do not count: the start, or without `backfill` the clock at which the board was defined, if that is later.
    counts_from_us BIGINT NOT NULL,
    -- It is closed from here on, by Redis' clock: its end and the board's `settle`.
    closes_us  BIGINT NOT NULL,
    -- How awards become entries. Fixed until the period is closed.
    rules      JSONB NOT NULL,
    -- Who holds the close back, as in admin_audit. NULL if nobody does.
    held_by    VARCHAR(100),
    closed_at  TIMESTAMPTZ,
    -- False once its entries were deleted, because the board has `keep_periods` newer closed periods. Their roots stay.
    has_entries BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (board, period),
    CHECK (starts_us < ends_us AND ends_us <= closes_us AND starts_us <= counts_from_us)
);
CREATE INDEX board_periods_open ON board_periods (board, starts_us) WHERE closed_at IS NULL;

-- The entries of closed periods, in their newest revision.
CREATE TABLE board_entries (
    board       VARCHAR(40) NOT NULL,
    period      VARCHAR(20) NOT NULL,
    -- The value of the tag that the board is split by; empty: the board of all values.
    split       VARCHAR(40) NOT NULL,
    -- From 1, unique.
    position    BIGINT NOT NULL,
    -- From 1. Equal results share it, unless the board's ranking is `ordinal`.
    rank        BIGINT NOT NULL,
    user_id     UUID NOT NULL,
    -- The name when the revision was made.
    username    VARCHAR(50) NOT NULL,
    score       BIGINT NOT NULL,
    subscore    BIGINT,
    -- Clock of the award that reached the result.
    achieved_us BIGINT NOT NULL,
    PRIMARY KEY (board, period, split, position)
);
CREATE INDEX board_entries_user ON board_entries (board, period, user_id);
-- A player's best place on a board.
CREATE INDEX board_entries_best ON board_entries (user_id, board, position, achieved_us) WHERE split = '';

-- What the entries of a closed period were, and why they changed. The close is revision 1. Rows are never changed or deleted.
CREATE TABLE board_revisions (
    board     VARCHAR(40) NOT NULL,
    period    VARCHAR(20) NOT NULL,
    -- As in board_entries: each value of the tag has revisions of its own.
    split     VARCHAR(40) NOT NULL,
    revision  INTEGER NOT NULL,
    -- SHA-256 over all entries (src/ledger/boards/root.rs).
    root      BYTEA NOT NULL,
    -- Number of entries.
    entries   BIGINT NOT NULL,
    -- Compact JWS over the columns above and `at`.
    signature TEXT NOT NULL,
    -- As in admin_audit; `laurel` closes periods.
    actor     VARCHAR(100) NOT NULL,
    reason    TEXT NOT NULL,
    at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (board, period, split, revision)
);

-- Used attestations and callbacks, by digest. Redis is loaded with them, so that none is accepted twice.
CREATE TABLE used_proofs (
    digest   VARCHAR(64) PRIMARY KEY,
    -- The proof expires then.
    until_at TIMESTAMPTZ NOT NULL
);
-- The sweep deletes expired rows, a load reads the others.
CREATE INDEX used_proofs_until_at ON used_proofs (until_at);

-- Outbox entries that could not be written to the ledger, unchanged (src/ledger/outbox/dead_letters/). Rows are never deleted.
CREATE TABLE dead_letters (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Position in the outbox.
    shard       INTEGER NOT NULL,
    stream_id   TEXT NOT NULL,
    entry       BYTEA NOT NULL,
    -- What could be parsed. No foreign key: the user may be missing in Postgres.
    event_id    UUID,
    user_id     UUID,
    kind        VARCHAR(20),
    points      BIGINT,
    -- `unknown_user`, `unreadable` or `refused` (by Postgres), and the error message.
    reason      VARCHAR(20) NOT NULL,
    detail      TEXT NOT NULL,
    -- `waiting`, `retrying` (an admin asked for a retry, the leader does it), `written` or `discarded`.
    state       VARCHAR(10) NOT NULL DEFAULT 'waiting',
    -- Whether Redis still contains the entry's effect. False once the board was loaded from the ledger.
    in_redis    BOOLEAN NOT NULL DEFAULT TRUE,
    -- The latest decision.
    decided_at  TIMESTAMPTZ,
    decided_by  VARCHAR(100),
    decided_reason TEXT
);
-- An entry may be delivered twice.
CREATE UNIQUE INDEX dead_letters_entry ON dead_letters (shard, stream_id, md5(entry));
-- Open dead letters. The leader reads them once a second.
CREATE INDEX dead_letters_open ON dead_letters (state, reason) WHERE state IN ('waiting', 'retrying');

-- The audit log: what admins did, refused operations included.
CREATE TABLE admin_audit (
    id         UUID PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- A username, `cli:` and the system user, or `sql:` and the session user.
    actor      VARCHAR(100) NOT NULL,
    -- `grant`, `revoke`, `ban`, `unban`, `adjust`, `quarantine`, `approve`, `void`, `retry_letter`, `discard_letter`, `close_period`,
    -- `hold_period`, `release_period`, `rebuild_board`, `create_board`, `change_board`.
    action     VARCHAR(20) NOT NULL,
    -- NULL for an operation on a board.
    user_id    UUID REFERENCES users (id),
    reason     TEXT NOT NULL,
    detail     JSONB,
    -- Makes a repeated operation run once. For an adjustment the row's id is the event id.
    idempotency_key VARCHAR(64),
    UNIQUE (actor, idempotency_key)
);
CREATE INDEX admin_audit_user ON admin_audit (user_id, created_at);
CREATE INDEX admin_audit_created ON admin_audit (created_at);

-- The audit log is append-only: only `detail` may change, where the outcome is added. The owner of the tables can still disable the
-- triggers (docs/threats.md, "What is left open").
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) - 'detail' = to_jsonb(OLD) - 'detail' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'admin_audit is append-only: rows cannot be deleted, and only detail can be updated'
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER admin_audit_kept BEFORE UPDATE OR DELETE ON admin_audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER admin_audit_not_truncated BEFORE TRUNCATE ON admin_audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- A role that is changed by SQL gets an audit row too. Laurel inserts its own row earlier in the same transaction; an older row whose
-- detail was touched in this transaction does not count. The schema is explicit, so that a temporary table of the same name cannot take the
-- row.
CREATE FUNCTION audit_role() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change     TEXT := CASE NEW.role WHEN 'admin' THEN 'grant' ELSE 'revoke' END;
    is_audited BOOLEAN;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.admin_audit
                                   WHERE user_id = $1 AND action = $2 AND created_at = now() AND xmin = pg_current_xact_id()::xid)', TG_TABLE_SCHEMA)
    INTO is_audited USING NEW.id, change;
    IF NOT is_audited THEN
        EXECUTE format('INSERT INTO %I.admin_audit (id, actor, action, user_id, reason, detail)
                        VALUES (gen_random_uuid(), $1, $2, $3, $4, $5)', TG_TABLE_SCHEMA)
        USING left('sql:' || session_user, 100), change, NEW.id, 'Role changed by SQL, not by Laurel',
              jsonb_build_object('from', CASE TG_OP WHEN 'UPDATE' THEN OLD.role END, 'to', NEW.role,
                                 'application', current_setting('application_name'), 'address', host(inet_client_addr()));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER users_role_changed AFTER UPDATE OF role ON users
    FOR EACH ROW WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION audit_role();
CREATE TRIGGER users_role_given AFTER INSERT ON users
    FOR EACH ROW WHEN (NEW.role <> 'player') EXECUTE FUNCTION audit_role();

-- Abuse signals, counted by suspect, signal and UTC hour.
CREATE TABLE abuse_signals (
    -- A user's UUID or an IP address.
    suspect  VARCHAR(50) NOT NULL,
    is_user  BOOLEAN NOT NULL,
    -- `replayed`, `forged`, `foreign`, `expired`, `proof_failed`, `too_fast`, `flooding` or `bad_login`.
    signal     VARCHAR(20) NOT NULL,
    hour     TIMESTAMPTZ NOT NULL,
    count    BIGINT NOT NULL,
    first_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (suspect, signal, hour)
);
-- Suspects are ranked over the last hours, and old rows are swept.
CREATE INDEX abuse_signals_hour ON abuse_signals (hour);

-- Addresses from which a user's abuse signals came, by UTC hour. Addresses of users without signals are not stored.
CREATE TABLE suspect_addresses (
    address VARCHAR(50) NOT NULL,
    user_id UUID NOT NULL,
    -- As in abuse_signals.
    signal    VARCHAR(20) NOT NULL,
    hour    TIMESTAMPTZ NOT NULL,
    count   BIGINT NOT NULL,
    last_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (address, user_id, signal, hour)
);
CREATE INDEX suspect_addresses_user ON suspect_addresses (user_id, hour);
-- The sweep deletes old rows.
CREATE INDEX suspect_addresses_hour ON suspect_addresses (hour);

-- Rollups: sums for the admin console, kept by the leader (src/ledger/rollup/), so that an answer does not depend on the length of the
-- ledger. Detached months stay in the sums.

-- Progress of the rollups. Every writer locks the row first and updates it in the same transaction.
CREATE TABLE rollup_heads (
    -- As in ledger_heads.
    shard          SMALLINT PRIMARY KEY,
    -- Newest ledger entry in the sums.
    seq            BIGINT NOT NULL DEFAULT 0,
    -- Newest row of game_sessions in the sums. All rows before it have ended.
    session_id     BIGINT NOT NULL DEFAULT 0,
    -- Newest user in the sums, by number.
    user_number    BIGINT NOT NULL DEFAULT 0,
    -- Newest user that existed at seen_number_at. All users up to it are committed some time later.
    seen_number    BIGINT NOT NULL DEFAULT 0,
    seen_number_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO rollup_heads (shard) VALUES (0);

-- By UTC hour. Adjustments by admins are not activity and are in none of these sums.
CREATE TABLE rollup_hours (
    hour       TIMESTAMPTZ PRIMARY KEY,
    awards     BIGINT NOT NULL DEFAULT 0,
    -- A score stays below 2^53, but the sum over all users may exceed 2^63.
    points     NUMERIC NOT NULL DEFAULT 0,
    -- Users with an award in this hour.
    users      BIGINT NOT NULL DEFAULT 0,
    -- Users whose first award of the day, in ledger order, is in this hour. The sum over a day is the day's users.
    day_users  BIGINT NOT NULL DEFAULT 0,
    -- Users whose newest award is in this hour. The sum from an hour on is the number of users active since then.
    last_users BIGINT NOT NULL DEFAULT 0,
    -- Users who registered in this hour.
    new_users  BIGINT NOT NULL DEFAULT 0
);

-- By user: all awards, and those of the hour, day, week (from Monday) and month that contain the newest award.
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
-- Free space for the next row version on the same page, so that no index changes.
) WITH (fillfactor = 80);

-- The most active users of the current hour, day, week and month, at most 100 of each. Counts only grow, so a user can enter the list only
-- by an award of their own.
CREATE TABLE rollup_best (
    period  VARCHAR(5) NOT NULL,
    period_start TIMESTAMPTZ NOT NULL,
    user_id UUID NOT NULL,
    awards  BIGINT NOT NULL,
    points  BIGINT NOT NULL,
    PRIMARY KEY (period, period_start, user_id)
);

-- Ended sessions, by the UTC hour of their start and by number of actions.
CREATE TABLE rollup_sessions (
    hour     TIMESTAMPTZ NOT NULL,
    -- Lower bound of the size class.
    min_actions BIGINT NOT NULL,
    sessions BIGINT NOT NULL,
    actions  BIGINT NOT NULL,
    -- From start to end.
    seconds  BIGINT NOT NULL,
    PRIMARY KEY (hour, min_actions)
);

-- Refused requests by UTC hour and error code, counted by the nodes.
CREATE TABLE rollup_refusals (
    hour  TIMESTAMPTZ NOT NULL,
    code  VARCHAR(30) NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (hour, code)
);

-- Identity of this deployment. Logins carry it as `aud`, so that two deployments with the same secret do not share logins. A copy of a
-- database has the same id: give it a new one (UPDATE deployment SET id = gen_random_uuid()) or set auth.audience.
CREATE TABLE deployment (
    singleton BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    id  UUID NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO deployment DEFAULT VALUES;
