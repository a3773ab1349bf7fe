#!/usr/bin/env bash
# Compares tokens per second of the embedded model with `llama-server`, with the same GGUF file, threads,
# slots and prompt.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"

scripts/install.sh test
SUTAZAI_TEST_MODEL=$(scripts/model.sh)
llama_server=$(scripts/llama-server.sh)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
LLAMA_SERVER_URL=http://127.0.0.1:$port/v1
export SUTAZAI_TEST_MODEL LLAMA_SERVER_URL


say "Building"
cargo bench --no-run -p sutazai-agent --features llama-cpp-native,openai --bench llama
"$llama_server" --model "$SUTAZAI_TEST_MODEL" --port "$port" --threads "$(nproc)" --ctx-size 8192 --parallel 4 \
    --kv-unified >"$cache/llama-bench.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for _ in $(seq 300); do
    kill -0 "$server" 2>/dev/null || { tail -20 "$cache/llama-bench.log" >&2; exit 1; }
    python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health', timeout=1)" 2>/dev/null && break
    sleep 0.1
done
say "Measuring"
cargo bench -q -p sutazai-agent --features llama-cpp-native,openai --bench llama
