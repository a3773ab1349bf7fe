#!/usr/bin/env bash
# Measures the pages of the web interface in Debian's Chromium with its processor slowed to a quarter: first paint,
# interactions, a list of 10,000 tasks, charts of a day. Prints a table of medians of five rounds and their bounds.
# ui.sh [PROGRAM] measures the pages of this build of `sutazai` instead of building one.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh test
use_node
work=$(scripts/ui.sh --work)
SUTAZAI_UI=$work/dist
export SUTAZAI_UI
program=${1:-$CARGO_TARGET_DIR/release/sutazai}
if [ $# = 0 ]; then
    say "Building"
    cargo build -q --release --features full --bin sutazai
fi
folder=$(mktemp -d)
address=127.0.0.1:$((20000 + RANDOM % 20000))
# No setting of the caller's shell counts, except the libraries of a toolchain that is not installed system-wide.
env -i PATH="$PATH" HOME="$folder" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" DATABASE_URL="sqlite://$folder/sutazai.db" \
    LISTEN="$address" ADMIN_USERNAME=root_1 ADMIN_PASSWORD="correct horse battery" HISTORY_INTERVAL_SECONDS=1 \
    RATE_LIMIT_PER_MINUTE=10000 RATE_LIMIT_AUTH_PER_MINUTE=10000 "$program" serve >"$folder/log" 2>&1 &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$folder"' EXIT
for _ in {1..100}; do
    python3 -c "import urllib.request; urllib.request.urlopen('http://$address/health')" 2>/dev/null && break
    kill -0 $server || { cat "$folder/log" >&2; exit 1; }
    sleep 0.1
done
say "Measuring (five minutes)"
node benches/ui/measure.mjs "$work" "http://$address" "$folder/sutazai.db"
