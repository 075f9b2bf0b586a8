-- What the ledger writes has no foreign keys any more: one asks the other table for each row and locks what it finds, which cost as
-- much as to write the row. Whoever writes asks once for a batch, under the lock of the chain's head (`src/ledger/users.rs`), and what
-- is referred to cannot go away: see below. So no row is of nobody, as before. Runs when no node is connected that asks for none.

SET LOCAL lock_timeout = '10s';
-- In the order in which writers and operators lock, so that nobody waits crosswise.
SELECT FROM ledger_heads FOR UPDATE;
LOCK TABLE users, game_sessions IN ACCESS EXCLUSIVE MODE;
LOCK TABLE user_action, score_history, action_tokens IN ACCESS EXCLUSIVE MODE;

DO $$
DECLARE
    key RECORD;
BEGIN
    -- Those of the ledger's months go with the ledger's own. What was detached is left as it is.
    FOR key IN
        SELECT conrelid::regclass AS of, conname AS name FROM pg_constraint
        WHERE contype = 'f' AND conparentid = 0
              AND conrelid IN ('user_action'::regclass, 'score_history'::regclass, 'action_tokens'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.of, key.name);
    END LOOP;
END
$$;

-- No user with a history is deleted or gets another id. A batch that is under way is waited for, and the next one finds no such user.
CREATE FUNCTION keep_users() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM ledger_heads FOR UPDATE;
    IF EXISTS (SELECT FROM score_history WHERE user_id = OLD.id)
       OR EXISTS (SELECT FROM user_action WHERE user_id = OLD.id)
       OR EXISTS (SELECT FROM action_tokens WHERE user_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = 'the user ' || OLD.id || ' has a history';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER keep_users BEFORE DELETE OR UPDATE OF id ON users FOR EACH ROW EXECUTE FUNCTION keep_users();

-- The same of a session with tokens.
CREATE FUNCTION keep_sessions() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM ledger_heads FOR UPDATE;
    IF EXISTS (SELECT FROM action_tokens WHERE session_id = OLD.session_id) THEN
        RAISE foreign_key_violation USING MESSAGE = 'the session ' || OLD.session_id || ' has tokens';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER keep_sessions BEFORE DELETE OR UPDATE OF session_id ON game_sessions
    FOR EACH ROW EXECUTE FUNCTION keep_sessions();
