-- Laurel's database and the role that nodes are. Run it as a superuser, once:
--   psql -v password="$(cat laurel_password)" -f role.sql
-- A node makes and changes tables (migrations, a part a month), so the role owns what it makes, and nothing else. It is no superuser,
-- makes no roles and no databases, and cannot read another one's.
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
