#!/usr/bin/env bash
# A Docker engine of the tests' own: `dockerd.sh start FOLDER` starts one that keeps everything under FOLDER and prints
# its address, `dockerd.sh stop FOLDER` ends exactly that one with its containers. It has no network, so that it runs
# everywhere, and where no overlay can be mounted it copies (vfs).
. "$(dirname "$0")/env.sh"

usage() { echo "usage: dockerd.sh start|stop FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
folder=$2 pidfile=$2/docker.pid log=$2/dockerd.log address=unix://$2/docker.sock

# The number may have been given to another process since; one that has ended runs no program.
alive() { [ -s "$pidfile" ] && [[ $(readlink "/proc/$(cat "$pidfile")/exe") == */dockerd* ]]; }

# Whether it ended within this many tenths of a second.
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

# Whether an engine with these options came up; what ended it is in the log.
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

# Ends and removes what outlives an engine that was killed: the shims, their containers, containerd, and the numbers
# of those who are no more, for which the next engine would wait.
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
    # One that was killed takes a moment to be gone, and leaves its number behind.
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
        # The containers first: an engine waits long for programs that do not end when asked.
        timeout 20 docker --host "$address" ps --all --quiet 2>/dev/null |
            timeout 20 xargs -r docker --host "$address" rm --force >/dev/null 2>&1 || true
        kill "$pid" 2>/dev/null || true
        ended 300 || kill -9 "$pid" 2>/dev/null || true
    fi
    clear
    # What a killed engine leaves mounted would keep the folder from being removed.
    awk -v under="$folder/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
