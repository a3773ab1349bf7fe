#!/usr/bin/env bash
# RabbitMQ for tests and measurements: `rabbitmq.sh` starts one on free ports, prints two lines (its address
# with a password, its port), and stops and deletes it when its standard input is closed. A line `kill` on its
# input kills the broker and prints `killed`; a line `start` starts it again with its data and prints
# `started`. With SUTAZAI_TEST_TLS, a folder of ca.pem, cert.pem and key.pem, it accepts only TLS.
. "$(dirname "$0")/env.sh"

bin=/usr/lib/rabbitmq/bin
[ -x "$bin/rabbitmq-server" ] || "$root/scripts/install.sh" test >&2
folder=$(mktemp -d "${TMPDIR:-/tmp}/sutazai-rabbitmq.XXXXXX")
# Below the ports that the system assigns to clients, so that they are still free when it is started again.
read -r port dist epmd < <(python3 -c '
import random, socket
free = []
while len(free) < 3:
    try:
        one = socket.socket()
        one.bind(("127.0.0.1", random.randrange(20_000, 30_000)))
        free.append(one)
    except OSError:
        pass
print(*(one.getsockname()[1] for one in free))')
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# Nothing is shared with the machine's own broker: settings, cookie, nodes or port mapper.
export HOME=$folder ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=sutazai-$port@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
export RABBITMQ_DIST_PORT=$dist RABBITMQ_MNESIA_BASE=$folder/data RABBITMQ_LOG_BASE=$folder/log
export RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins
export RABBITMQ_CONF_ENV_FILE=$folder/none RABBITMQ_PID_FILE=$folder/pid ERL_CRASH_DUMP=$folder/crash
echo '[].' >"$folder/plugins"
: >"$folder/none"
(umask 077 && printf 'default_user = sutazai\ndefault_pass = %s\n' "$password" >"$folder/rabbitmq.conf")
scheme=amqp
if [ -n "${SUTAZAI_TEST_TLS:-}" ]; then
    scheme=amqps
    cat >>"$folder/rabbitmq.conf" <<END
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:$port
ssl_options.cacertfile = $SUTAZAI_TEST_TLS/ca.pem
ssl_options.certfile = $SUTAZAI_TEST_TLS/cert.pem
ssl_options.keyfile = $SUTAZAI_TEST_TLS/key.pem
ssl_options.verify = verify_none
END
else
    export RABBITMQ_NODE_PORT=$port
fi

mapper= server=
end() {
    trap '' INT TERM HUP
    kill_server
    [ -z "$mapper" ] || kill "$mapper" 2>/dev/null || true
    [ -z "$mapper" ] || wait "$mapper" 2>/dev/null || true
    rm -rf "$folder"
}
kill_server() {
    [ -n "$server" ] || return 0
    # The pid file names the Erlang VM; the shell that started it ends with it. Without the file, only the
    # shell runs.
    kill -9 "$(cat "$folder/pid" 2>/dev/null || echo "$server")" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$folder/pid"
    server=
    # The port mapper learns of the end from a closed connection. Until then it rejects the name, and the next
    # start would crash.
    for _ in $(seq 100); do
        epmd -port "$epmd" -names 2>/dev/null | grep -q "name sutazai-$port " || return 0
        sleep 0.1
    done
}
start_server() {
    "$bin/rabbitmq-server" </dev/null >"$folder/output" 2>&1 &
    server=$!
    for _ in $(seq 600); do
        grep -q 'Starting broker... completed\|completed with' "$folder/output" 2>/dev/null && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    { cat "$folder/output"; grep -m 1 '^Slogan' "$folder/crash" || true; } >&2
    exit 1
}
trap end EXIT
trap 'exit 130' INT TERM HUP

epmd -port "$epmd" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
mapper=$!
start_server
echo "$scheme://sutazai:$password@127.0.0.1:$port/%2f"
echo "$port"
while read -r order; do
    case $order in
    kill) kill_server && echo killed ;;
    start) start_server && echo started ;;
    esac
done
