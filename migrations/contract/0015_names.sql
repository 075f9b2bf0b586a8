-- What refers to a user and parses as a number, a UUID or an IP address is one, and never a name (`UserRef` in
-- `src/account/user_ref.rs`). So nobody can be named like one: whoever is, is renamed, each with a row in the audit. Nodes of before
-- this step would let such names in, so it waits for them to be gone.

SET LOCAL lock_timeout = '10s';

DO $$
DECLARE
    it     RECORD;
    chosen TEXT;
    suffix TEXT;
    tries  BIGINT;
BEGIN
    FOR it IN
        SELECT id, number, username FROM users
        WHERE username ~ '^[0-9]+$'
           OR username ~* '^[0-9a-f]{32}$'
           OR username ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
           OR username ~ '^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$'
        ORDER BY number
    LOOP
        -- `player_110`, and where somebody is called so, `player_110_7` by the user's number, `player_110_7_2`, …
        chosen := left('player_' || it.username, 50);
        tries := 0;
        WHILE EXISTS (SELECT FROM users WHERE lower(username) = lower(chosen)) LOOP
            tries := tries + 1;
            suffix := '_' || it.number || CASE WHEN tries > 1 THEN '_' || tries ELSE '' END;
            chosen := left('player_' || it.username, 50 - length(suffix)) || suffix;
        END LOOP;
        -- As of a decision, so that nodes bring the board's ten to agree (`src/admin/converge.rs`).
        UPDATE users SET username = chosen, updated_at = now(), restricted_at = now() WHERE id = it.id;
        INSERT INTO admin_audit (id, actor, action, user_id, reason, detail)
        VALUES (gen_random_uuid(), 'laurel migrate', 'rename', it.id, 'The name stood for a number, a UUID or an address',
                jsonb_build_object('from', it.username, 'to', chosen));
    END LOOP;
END
$$;
