-- Creates Laurel's database and the role of its nodes. Run it once as a superuser:
--   psql -v password="$(cat laurel_password)" -f role.sql
-- Nodes create and change tables (migrations, monthly partitions), so the role owns its tables. It is not a superuser, cannot create
-- roles or databases, and cannot read other databases. As the owner it could drop the triggers that protect the audit log, so use it
-- for nodes only. Give people a role of their own with GRANT SELECT, or UPDATE on what they need, without ownership.
\set ON_ERROR_STOP on
CREATE ROLE laurel LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
    CONNECTION LIMIT 90 PASSWORD :'password';
CREATE DATABASE laurel;
REVOKE ALL ON DATABASE laurel FROM PUBLIC;
-- Detaching old months uses a temporary table.
GRANT CONNECT, TEMPORARY ON DATABASE laurel TO laurel;
\connect laurel
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO laurel;
-- The search for players by a part of a name uses this extension. Without it, Postgres scans all users.
CREATE EXTENSION pg_trgm;
