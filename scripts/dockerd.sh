#!/usr/bin/env bash
# Docker engine for tests: `dockerd.sh start FOLDER` starts one that keeps all its data under FOLDER and
# prints its address, `dockerd.sh stop FOLDER` stops this engine and its containers. It has no network, so
# that it runs everywhere, and uses the storage driver vfs where overlays cannot be mounted.
. "$(dirname "$0")/env.sh"

usage() { echo "usage: dockerd.sh start|stop FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
folder=$2 pidfile=$2/docker.pid log=$2/dockerd.log address=unix://$2/docker.sock

# The pid may belong to another process by now; a zombie has no executable.
alive() { [ -s "$pidfile" ] && [[ $(readlink "/proc/$(cat "$pidfile")/exe") == */dockerd* ]]; }

# Waits at most this many tenths of a second for the end of the engine.
ended() {
    for _ in $(seq "$1"); do
        alive || return 0
        sleep 0.1
    done
    return 1
}

fail() {
    echo "$1" >&2
    [ -f "$log" ] && tail -30 "$log" >&2
    exit 1
}

# Starts an engine with these options; fails if it exits, with the reason in the log.
try() {
    setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$pidfile" --host "$address" \
        --bridge=none --iptables=false --ip6tables=false "$@" >"$log" 2>&1 </dev/null &
    local started=$!
    for _ in $(seq 300); do
        timeout 5 docker --host "$address" version >/dev/null 2>&1 && return
        kill -0 "$started" 2>/dev/null || return 1
        sleep 0.1
    done
    kill "$started" 2>/dev/null || true
    fail "dockerd did not answer within 30 seconds:"
}

# Kills and removes what outlives a killed engine: shims, their containers, containerd, and stale pid files,
# for which the next engine would wait.
clear() {
    for one in $(pgrep -f -- "-address $folder/exec/containerd/|--config $folder/exec/containerd/"); do
        pgrep -P "$one" | xargs -r kill -9 2>/dev/null || true
        kill -9 "$one" 2>/dev/null || true
    done
    rm -f "$pidfile" "$folder/exec/containerd/containerd.pid"
}

start() {
    [ "$(id -u)" = 0 ] || fail "A Docker engine of its own needs root."
    command -v dockerd >/dev/null || "$root/scripts/install.sh" test
    mkdir -p "$folder"
    # A killed engine takes a moment to end, and leaves its pid file behind.
    ended 50 || fail "A Docker engine runs in $folder already."
    clear
    try || { grep -q graphdriver "$log" && try --storage-driver vfs; } || fail "dockerd ended at once:"
    echo "$address"
}

stop() {
    if alive; then
        local pid
        pid=$(cat "$pidfile")
        kill -CONT "$pid"
        # Containers are removed first: the engine waits long for programs that ignore SIGTERM.
        timeout 20 docker --host "$address" ps --all --quiet 2>/dev/null |
            timeout 20 xargs -r docker --host "$address" rm --force >/dev/null 2>&1 || true
        kill "$pid" 2>/dev/null || true
        ended 300 || kill -9 "$pid" 2>/dev/null || true
    fi
    clear
    # Mounts of a killed engine would prevent the removal of the folder.
    awk -v under="$folder/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
