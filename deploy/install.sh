#!/usr/bin/env bash
# Makes sure that programs are there. Each argument is `program:package`. On Debian and its kin what is missing is
# installed; elsewhere one line says what to install.
set -euo pipefail

have() {
  case "$1" in
    # Debian keeps the server's programs off PATH.
    postgres) { command -v postgres && command -v initdb; } || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
    # Not on every user's PATH. Whoever asks others over TLS needs the certificates.
    update-ca-certificates) [ -x /usr/sbin/update-ca-certificates ] ;;
    # Debian parts what makes a folder of Python's packages from Python.
    venv) python3 -c 'import ensurepip, venv' ;;
    # A test preloads its library.
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
# The C library's headers come with the compiler only by recommendation.
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
# Laurel runs processes of its own: the packages' services are not started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
