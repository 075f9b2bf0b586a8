-- A read-only role for `laurel verify` and `laurel verify --ledger`, without access to passwords, e-mail addresses and proofs.
-- Run it once in Laurel's database after `laurel migrate`, as the owner of the tables or a superuser:
--   psql -d laurel -f auditor.sql
-- Then create a login: CREATE ROLE mary LOGIN PASSWORD '…' IN ROLE laurel_auditor. Standbys have the role too.
CREATE ROLE laurel_auditor NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
GRANT CONNECT ON DATABASE laurel TO laurel_auditor;
GRANT USAGE ON SCHEMA public TO laurel_auditor;
GRANT SELECT ON _sqlx_migrations, deployment, score_history, held_decisions, ledger_heads, ledger_checkpoints TO laurel_auditor;
GRANT SELECT (id, number, username, score, banned_at, quarantined_at) ON users TO laurel_auditor;
GRANT SELECT (id, user_id, token_hash) ON user_action TO laurel_auditor;
GRANT SELECT ON boards, board_periods, board_entries, board_revisions TO laurel_auditor;
GRANT SELECT (id, user_id) ON board_corrections TO laurel_auditor;
GRANT SELECT (state, reason, kind, user_id) ON dead_letters TO laurel_auditor;
