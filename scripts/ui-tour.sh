#!/usr/bin/env bash
# Takes the pictures of docs/tour.md: starts a server with the small model on a machine that calls itself build-01,
# measures for 20 minutes, and does in Debian's Chromium what the tour describes.
# ui-tour.sh [PROGRAM [MINUTES]] takes this build of `sutazai` instead of building one, and measures for MINUTES.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh test
use_node
work=$(scripts/ui.sh --work)
model=$(scripts/model.sh)
SUTAZAI_UI=$work/dist
export SUTAZAI_UI
program=${1:-$CARGO_TARGET_DIR/release/sutazai}
if [ $# = 0 ]; then
    say "Building"
    cargo build -q --release --features full --bin sutazai
fi
folder=$(mktemp -d)
address=127.0.0.1:$((20000 + RANDOM % 20000))
# In namespaces of their own, the name of this machine and its temporary file systems appear in no picture.
command=(unshare --uts --mount)
[ "$(id -u)" = 0 ] || command+=(--map-root-user)
# shellcheck disable=SC2016  # The inner shell expands it.
command+=(bash -c 'hostname build-01
    findmnt -rnlo TARGET -t tmpfs,overlay,squashfs | grep -v "^/\(dev\|run\|proc\|sys\|tmp\)\?\(/\|$\)" | xargs -r umount -l
    exec "$@"' tour)
command+=(env -i PATH="$PATH" HOME="$folder" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" DATABASE_URL="sqlite://$folder/sutazai.db"
    LISTEN="$address" HISTORY_INTERVAL_SECONDS=10 RATE_LIMIT_PER_MINUTE=10000 RATE_LIMIT_AUTH_PER_MINUTE=10000
    MODEL_BACKENDS="llama-cpp=$model" DEFAULT_MODEL="$(basename "$model" .gguf)" "$program")
say "Measuring what the model may do"
"${command[@]}" models check >&2
"${command[@]}" serve >"$folder/out" 2>"$folder/log" &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$folder"' EXIT
for _ in {1..100}; do
    python3 -c "import urllib.request; urllib.request.urlopen('http://$address/health')" 2>/dev/null && break
    kill -0 $server || { cat "$folder/log" >&2; exit 1; }
    sleep 0.1
done
say "Measuring this machine for ${2:-20} minutes"
sleep $((${2:-20} * 60))
say "Taking the pictures"
code=$(sed -n 's|.*/setup/\([a-z2-7]*\).*|\1|p' "$folder/out")
node tests/python/ui/programs/tour.mjs "$work" "http://$address" "$code" docs/images docs
ls -l docs/images
