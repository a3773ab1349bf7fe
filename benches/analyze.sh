#!/usr/bin/env bash
# Runs `sutazai analyze --no-model --json` 31 times, each time in a fresh data folder, and prints the median and the
# longest duration, from the start of the process to its end. The number of runs is an argument: analyze.sh 101.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
runs=${1:-31}
[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "usage: analyze.sh [RUNS]" >&2; exit 2; }
scripts/install.sh run
say "Building"
cargo build -q --release --features full --bin sutazai
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# No setting of the caller's shell counts, except the libraries of a toolchain that is not installed system-wide.
analyze() {
    env -i PATH="$PATH" HOME="$1" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" DATABASE_URL="sqlite://$1/sutazai.db" \
        "$CARGO_TARGET_DIR/release/sutazai" analyze --no-model --json >"$1/report" 2>"$1/errors" ||
        { cat "$1/errors" >&2; return 1; }
}
say "Analyzing $runs times"
for ((run = 0; run < runs; run++)); do
    mkdir "$work/$run"
    begun=${EPOCHREALTIME/[.,]/}
    analyze "$work/$run"
    echo $((${EPOCHREALTIME/[.,]/} - begun))
    rm -r "${work:?}/$run"
done >"$work/microseconds"
sort -n "$work/microseconds" | awk '
    { took[NR] = $1 / 1000 }
    END {
        median = (took[int((NR + 1) / 2)] + took[int(NR / 2) + 1]) / 2
        printf "%d analyses: median %.0f ms, longest %.0f ms\n", NR, median, took[NR]
    }'
