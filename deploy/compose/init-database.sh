#!/bin/sh
# The Postgres image runs this once on an empty volume, as the superuser.
set -eu
psql -U "$POSTGRES_USER" -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/laurel_password)" -f /etc/laurel/role.sql
