#!/usr/bin/env bash
# `make run`: from a bare machine to recommendations about it, and a server that does the same.
. "$(dirname "$0")/env.sh"
cd "$root"

scripts/install.sh run
model=$(scripts/model.sh)
SUTAZAI_REDOC=$(scripts/redoc.sh)
export SUTAZAI_REDOC
say "Building (some minutes the first time, seconds after that)"
cargo build --release --features full
sutazai=$CARGO_TARGET_DIR/release/sutazai

if [ -z "${MODEL_BACKENDS:-}" ]; then
    export MODEL_BACKENDS=llama-cpp=$model
    DEFAULT_MODEL=${DEFAULT_MODEL:-$(basename "$model" .gguf)}
    export DEFAULT_MODEL
fi
log=$cache/serve.log
"$sutazai" serve >"$log" 2>&1 &
server=$!
# One that has ended by itself is not there to be told.
trap 'kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
address=$("$sutazai" config check | awk '$1 == "LISTEN" { print $2 }')
for _ in $(seq 100); do
    kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
    python3 -c "import urllib.request as u; u.urlopen('http://$address/health', timeout=1)" 2>/dev/null && break
    sleep 0.1
done

say "Looking at this machine"
"$sutazai" analyze
say "The server listens on http://$address (API under /api/v1, shown at /api/docs; log in $log). Ctrl-C ends it."
[ -n "${SUTAZAI_RUN_ONCE:-}" ] || wait "$server"
