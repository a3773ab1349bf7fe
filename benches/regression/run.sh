#!/usr/bin/env bash
# Compares this tree with an earlier revision of it: `run.sh REVISION`. Queue and HTTP server of both are built with
# the same compiler and measured over PostgreSQL with every commit synced and over SQLite, in alternating rounds. Prints
# the medians and their ratios. Settings: ROUNDS, TASKS and SECONDS_EACH.
. "$(dirname "$0")/../../scripts/env.sh"
cd "$root"
[ $# = 1 ] || { echo "usage: $0 REVISION" >&2; exit 2; }
revision=$(git rev-parse --verify --short "$1^{commit}")

scripts/install.sh test
scripts/install.sh bench
programs=$cache/regression

# Builds the checkout in FOLDER and keeps its programs as NAME: build NAME FOLDER. The target folder is common, so that
# dependencies are compiled once.
build() {
    say "Building $1"
    mkdir -p "$programs/$1"
    local target=$programs/target
    # A benchmark is built together with the programs of its package, and with the same features of dependencies.
    local queue
    queue=$(cd "$2" && cargo bench -p sutazai --target-dir "$target" --features cli,postgres --bench queue --no-run 2>&1 |
        tee /dev/stderr | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
    cp "$target/release/sutazai" "$programs/$1/sutazai"
    cp "$queue" "$programs/$1/queue"
}

if [ ! -x "$programs/$revision/queue" ]; then
    earlier=$(mktemp -d)
    trap 'git worktree remove --force "$earlier"' EXIT
    git worktree add --quiet --detach "$earlier" "$revision"
    build "$revision" "$earlier"
fi
build now "$root"
export PYTHONPATH=$root/benches:$root/benches/queue:$root/benches/http
python3 benches/regression/measure.py "$programs" "$revision"
