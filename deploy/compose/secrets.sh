#!/usr/bin/env bash
# Creates the secrets that docker-compose.yml mounts, one file each: `bash deploy/compose/secrets.sh`. Existing secrets are kept.
# Only the owner can open the folder. The files are readable for all users, so that containers can read the ones mounted for them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/secrets}
if [ -e "$folder/jwt_secret" ]; then
  echo "$folder has secrets already" >&2
  exit 1
fi
umask 077
mkdir -p "$folder"

fresh() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
put() { printf '%s\n' "$2" >"$folder/$1" && chmod 444 "$folder/$1"; }
sha256() { printf '%s' "$1" | sha256sum | cut -d ' ' -f 1; }

redis=$(fresh) operator=$(fresh) replica=$(fresh) database=$(fresh)
put redis_users "$(sed -e "s/LAUREL_SHA256/$(sha256 "$redis")/" -e "s/OPERATOR_SHA256/$(sha256 "$operator")/" \
  -e "s/REPLICA_SHA256/$(sha256 "$replica")/" "$here/../redis/users.acl")"
put redis_url "redis://laurel:$redis@redis:6379"
put redis_operator_password "$operator"
put redis_replica_password "$replica"
put postgres_password "$(fresh)"
put laurel_password "$database"
put database_url "postgres://laurel:$database@postgres:5432/laurel"
put grafana_password "$(fresh)"
# Written last: its presence means that the folder is complete.
put jwt_secret "$(fresh)"
