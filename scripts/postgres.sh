#!/usr/bin/env bash
# PostgreSQL server for tests and measurements: `postgres.sh [NAME=VALUE ...]` starts one with these settings
# on a free port, prints three lines (its address without a database, its data folder, the folder of its
# programs), and stops and deletes it when its standard input is closed. As root it runs as the user
# `postgres`, because PostgreSQL refuses to run as root.
. "$(dirname "$0")/env.sh"

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ ! -x "$bin/initdb" ]; then
    "$root/scripts/install.sh" test >&2
    bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
fi
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid postgres --regid postgres --clear-groups --)

folder=$(mktemp -d "${TMPDIR:-/tmp}/sutazai-postgres.XXXXXX")
[ "$(id -u)" != 0 ] || chown postgres "$folder"
cd "$folder"
made=$folder/initdb.log log=$folder/server.log
end() {
    trap '' INT TERM HUP
    "${as[@]}" "$bin/pg_ctl" stop -D "$folder/data" -m immediate -w >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && printf '%s' "$password" >"$folder/password")
[ "$(id -u)" != 0 ] || chown postgres "$folder/password"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U sutazai --pwfile="$folder/password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$made" 2>&1 || { cat "$made" >&2; exit 1; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
{
    echo "listen_addresses = '127.0.0.1'"
    echo "port = $port"
    echo "unix_socket_directories = '$folder'"
    for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
} | "${as[@]}" tee -a "$folder/data/postgresql.conf" >/dev/null
"${as[@]}" "$bin/pg_ctl" start -D "$folder/data" -l "$log" -w -t 60 >/dev/null 2>&1 </dev/null ||
    { cat "$log" >&2 || true; exit 1; }

echo "postgres://sutazai:$password@127.0.0.1:$port"
echo "$folder/data"
echo "$bin"
cat >/dev/null
