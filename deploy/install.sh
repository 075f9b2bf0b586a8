#!/usr/bin/env bash
# Installs missing programs. Each argument is `program:package`. On systems without apt-get it prints what to install.
set -euo pipefail

have() {
  case "$1" in
    # Debian installs the server's programs outside PATH.
    postgres) { command -v postgres && command -v initdb; } || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
    # Not on every user's PATH. The package has the certificates for outgoing TLS.
    update-ca-certificates) [ -x /usr/sbin/update-ca-certificates ] ;;
    # Debian packages venv separately from Python.
    venv) python3 -c 'import ensurepip, venv' ;;
    # A test preloads this library.
    faketime) compgen -G '/usr/lib/*/faketime/libfaketime.so.1' ;;
    haproxy | pgbouncer) command -v "$1" || [ -x "/usr/sbin/$1" ] ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

missing=()
for wanted in "$@"; do
  have "${wanted%%:*}" || missing+=("${wanted##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
# gcc only recommends the C library's headers, and recommended packages are not installed.
case " ${missing[*]} " in *" gcc "*) missing+=(libc6-dev) ;; esac

if ! command -v apt-get >/dev/null 2>&1; then
  echo "Please install: ${missing[*]} (there is no apt-get here to do it)" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "Please run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
# Do not start the packages' services: Laurel runs its own processes.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
