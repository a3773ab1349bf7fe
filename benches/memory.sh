#!/usr/bin/env bash
# Measures what each connection, stream, WebSocket, subscription, body, search, page and model adds to the
# memory of a server (VmRSS and VmHWM of /proc/PID/status), on SQLite with the small model. Source of the
# figures in docs/operations.md.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
say "Building"
cargo build -q --release --features full --bin sutazai
ulimit -n "$(ulimit -Hn)"
exec python3 benches/memory.py "$CARGO_TARGET_DIR/release/sutazai" "$(scripts/model.sh)"
