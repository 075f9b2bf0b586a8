-- Laurel's database and the role that nodes are. Run it as a superuser, once:
--   psql -v password="$(cat laurel_password)" -f role.sql
-- A node makes and changes tables (migrations, a part a month), so the role owns what it makes, and nothing else. It is no superuser,
-- makes no roles and no databases, and cannot read another one's. What it owns it could also strip of the triggers that keep the audit
-- (migrations/contract/0017_audit.sql): so it is for nodes alone. People who read or mend tables get a role of their own, with
-- GRANT SELECT, or UPDATE of what they need, and no ownership.
\set ON_ERROR_STOP on
CREATE ROLE laurel LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
    CONNECTION LIMIT 90 PASSWORD :'password';
CREATE DATABASE laurel;
REVOKE ALL ON DATABASE laurel FROM PUBLIC;
-- Old months are taken off by way of a temporary table.
GRANT CONNECT, TEMPORARY ON DATABASE laurel TO laurel;
\connect laurel
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO laurel;
-- Operators find players by any part of a name. Without it, Postgres reads all of them.
CREATE EXTENSION pg_trgm;
