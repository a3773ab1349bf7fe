#!/usr/bin/env bash
# PgBouncer for tests: `pgbouncer.sh postgres://user:password@host:port [NAME=VALUE ...]` starts one with
# these settings in front of that server, in transaction mode on a free port, and prints its address. A line
# `restart` on its standard input kills and restarts it, and prints `restarted`; it ends when that input is
# closed. As root it runs as the user `postgres`, because PgBouncer refuses to run as root.
. "$(dirname "$0")/env.sh"

command -v pgbouncer >/dev/null || "$root/scripts/install.sh" test >&2
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid postgres --regid postgres --clear-groups --)

address=${1#postgres://}
shift
login=${address%@*} server=${address#*@}
folder=$(mktemp -d "${TMPDIR:-/tmp}/sutazai-pgbouncer.XXXXXX")
pid=
end() {
    trap '' INT TERM HUP
    [ -z "$pid" ] || { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(umask 077 && echo "\"${login%:*}\" \"${login#*:}\"" >"$folder/users")
{
    echo "[databases]"
    echo "* = host=${server%:*} port=${server#*:}"
    echo "[pgbouncer]"
    echo "listen_addr = 127.0.0.1"
    echo "listen_port = $port"
    echo "unix_socket_dir ="
    echo "auth_type = scram-sha-256"
    echo "auth_file = $folder/users"
    echo "pool_mode = transaction"
    for setting in "$@"; do echo "${setting%%=*} = ${setting#*=}"; done
} >"$folder/pgbouncer.ini"
[ "$(id -u)" != 0 ] || chown -R postgres "$folder"

start() {
    "${as[@]}" pgbouncer --quiet "$folder/pgbouncer.ini" >"$folder/log" 2>&1 </dev/null &
    pid=$!
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$folder/log" >&2
    exit 1
}
start
echo "postgres://$login@127.0.0.1:$port"
while read -r line; do
    [ "$line" = restart ] || continue
    { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
    start
    echo restarted
done
