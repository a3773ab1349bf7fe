#!/usr/bin/env bash
# A Docker engine of the tests' own: `dockerd.sh start FOLDER` starts one that keeps everything under FOLDER and prints
# its address, `dockerd.sh stop FOLDER` ends exactly that one. It has no network, so that it runs everywhere.
. "$(dirname "$0")/env.sh"

usage() { echo "usage: dockerd.sh start|stop FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
folder=$2 pidfile=$2/docker.pid log=$2/dockerd.log address=unix://$2/docker.sock

alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

fail() {
    echo "$1" >&2
    [ -f "$log" ] && tail -30 "$log" >&2
    exit 1
}

start() {
    [ "$(id -u)" = 0 ] || fail "A Docker engine of its own needs root."
    command -v dockerd >/dev/null || "$root/scripts/install.sh" test
    mkdir -p "$folder"
    setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$pidfile" --host "$address" \
        --bridge=none --iptables=false --ip6tables=false >"$log" 2>&1 </dev/null &
    local started=$!
    for _ in $(seq 300); do
        docker --host "$address" version >/dev/null 2>&1 && { echo "$address"; return; }
        kill -0 "$started" 2>/dev/null || fail "dockerd ended at once:"
        sleep 0.1
    done
    kill "$started" 2>/dev/null || true
    fail "dockerd did not answer within 30 seconds:"
}

stop() {
    alive || return 0
    local pid
    pid=$(cat "$pidfile")
    kill "$pid"
    # It ends its containerd and its containers first.
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    # What a killed engine leaves mounted would keep the folder from being removed.
    awk -v under="$folder/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
