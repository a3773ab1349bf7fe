#!/usr/bin/env bash
# Redis for tests and measurements: `redis.sh [PORT]` starts one on this port or a free one, prints three
# lines (its address with a password, its port, its pid), and stops and deletes it when its standard input is
# closed. For a restart on the same port its password can be set with SUTAZAI_TEST_REDIS_PASSWORD. With
# SUTAZAI_TEST_TLS, a folder of ca.pem, cert.pem and key.pem, it accepts only TLS.
. "$(dirname "$0")/env.sh"

command -v redis-server >/dev/null || "$root/scripts/install.sh" test >&2
folder=$(mktemp -d "${TMPDIR:-/tmp}/sutazai-redis.XXXXXX")
server=
end() {
    trap '' INT TERM HUP
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

port=${1:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
password=${SUTAZAI_TEST_REDIS_PASSWORD:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
(umask 077 && printf 'requirepass %s\n' "$password" >"$folder/redis.conf")
scheme=redis listen=(--port "$port") client=()
if [ -n "${SUTAZAI_TEST_TLS:-}" ]; then
    tls=$SUTAZAI_TEST_TLS scheme=rediss client=(--tls --cacert "$SUTAZAI_TEST_TLS/ca.pem")
    listen=(--port 0 --tls-port "$port" --tls-auth-clients no)
    listen+=(--tls-cert-file "$tls/cert.pem" --tls-key-file "$tls/key.pem" --tls-ca-cert-file "$tls/ca.pem")
fi
redis-server "$folder/redis.conf" "${listen[@]}" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly no \
    --logfile "$folder/redis.log" </dev/null >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do
    REDISCLI_AUTH=$password redis-cli "${client[@]}" -p "$port" ping 2>/dev/null | grep -q PONG && break
    kill -0 "$server" 2>/dev/null || { cat "$folder/redis.log" >&2 || true; exit 1; }
    sleep 0.1
done

echo "$scheme://:$password@127.0.0.1:$port/0"
echo "$port"
echo "$server"
# The shell would report a kill of the server, which is intended.
exec 2>/dev/null
cat >/dev/null
