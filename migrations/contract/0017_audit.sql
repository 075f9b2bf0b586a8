-- What operators did stays as it was written: the audit keeps its rows, and of each all but `detail`, where the outcome is added. A
-- role that is changed by anything but Laurel leaves a row there too. Nodes of before this step delete from the audit, so it waits
-- for them to be gone. Who owns the tables can still switch a trigger off: docs/threats.md, "What is left open".

SET LOCAL lock_timeout = '10s';

CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) - 'detail' = to_jsonb(OLD) - 'detail' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is kept: no row of it goes, and none changes but in detail'
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER admin_audit_kept BEFORE UPDATE OR DELETE ON admin_audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER admin_audit_not_truncated BEFORE TRUNCATE ON admin_audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- Laurel writes its own row first, in the transaction that changes the role: an older one whose detail was touched in it is not enough. The schema is named: a temporary table that is called
-- like the audit must not get the row.
CREATE FUNCTION audit_role() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deed     TEXT := CASE NEW.role WHEN 'admin' THEN 'grant' ELSE 'revoke' END;
    is_known BOOLEAN;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.admin_audit
                                   WHERE user_id = $1 AND action = $2 AND created_at = now() AND xmin = pg_current_xact_id()::xid)', TG_TABLE_SCHEMA)
    INTO is_known USING NEW.id, deed;
    IF NOT is_known THEN
        EXECUTE format('INSERT INTO %I.admin_audit (id, actor, action, user_id, reason, detail)
                        VALUES (gen_random_uuid(), $1, $2, $3, $4, $5)', TG_TABLE_SCHEMA)
        USING left('sql:' || session_user, 100), deed, NEW.id, 'The role was changed by SQL, not by Laurel',
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
