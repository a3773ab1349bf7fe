#!/usr/bin/env bash
# Runs the release binary under emulated processors without the features of this one: `portability.sh [CPU
# ...]`, by default Nehalem (2008, SSE4.2) and Haswell (2013, AVX2). Each analyzes this machine, serves, and
# generates 16 tokens. An unsupported instruction fails the run. Takes some minutes per processor.
. "$(dirname "$0")/env.sh"
cd "$root"

scripts/install.sh test
model=$(scripts/model.sh)
SUTAZAI_REDOC=$(scripts/redoc.sh)
export SUTAZAI_REDOC
cargo build --release --features full
sutazai=$CARGO_TARGET_DIR/release/sutazai
emulator=$(command -v qemu-x86_64)
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; }
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

export HOME=$folder ENABLE_AUTH=false MODEL_IDLE_TIMEOUT_SECONDS=3600 MODEL_TIMEOUT_SECONDS=3600
[ $# != 0 ] || set -- Nehalem Haswell
for cpu; do
    say "$cpu"
    # A wrapper, since the kernel would start the child process without the emulator.
    printf '#!/bin/sh\nexec %s -cpu %s %s "$@"\n' "$emulator" "$cpu" "$sutazai" >"$folder/sutazai-$cpu"
    chmod +x "$folder/sutazai-$cpu"
    "$folder/sutazai-$cpu" --version
    "$folder/sutazai-$cpu" analyze --no-model --json | python3 -c '
import json, sys
result = json.load(sys.stdin)
print("analyze:", result["priority_level"], len(result["findings"]), "findings")'
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    MODEL_BACKENDS=llama-cpp=$model MODEL_PROGRAM=$folder/sutazai-$cpu REQUEST_TIMEOUT_SECONDS=3600 \
        "$folder/sutazai-$cpu" serve --listen "127.0.0.1:$port" >"$folder/serve.log" 2>&1 &
    server=$!
    python3 - "http://127.0.0.1:$port" "$server" "$folder/serve.log" <<'PYTHON'
import json, os, sys, time, urllib.error, urllib.request

address, server, log = sys.argv[1:]

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=3600) as answer:
        return json.load(answer)

while True:
    try:
        os.kill(int(server), 0)
        models = call("/api/v1/models")["data"]["items"]
        break
    except urllib.error.HTTPError as error:
        sys.exit(f"models: {error} {error.read().decode()}")
    except urllib.error.URLError:
        time.sleep(0.5)
    except ProcessLookupError:
        sys.exit("the server ended:\n" + open(log).read())
print("model:", models[0]["name"], models[0]["process"])
begun = time.monotonic()
answer = call("/v1/chat/completions", {
    "model": models[0]["name"], "max_tokens": 16, "temperature": 0, "seed": 1,
    "messages": [{"role": "user", "content": "Name the planets."}],
})
took = time.monotonic() - begun
print(answer["usage"]["completion_tokens"], f"tokens in {took:.0f} s:", repr(answer["choices"][0]["message"]["content"]))
process = call("/api/v1/models")["data"]["items"][0]["process"]
if process["crashes"] or process["state"] != "ready":
    sys.exit(f"the model crashed: {process}")
PYTHON
    kill -TERM "$server"
    wait "$server" || true
    server=
done
