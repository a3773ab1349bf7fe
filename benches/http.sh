#!/usr/bin/env bash
# Compares our server over PostgreSQL and SQLite with one of FastAPI, uvicorn and asyncpg
# (benches/peers/fastapi) over the same PostgreSQL, with every commit synced: the same routes, rows and token
# check, on this machine, in alternating rounds; and with a bare axum handler (benches/peers/axum). Both are
# measured with several numbers of threads or workers. Settings: ROUNDS, SECONDS_EACH, THREADS and
# PEER_WORKERS. The medians are written to docs/performance.md.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"

scripts/install.sh test
scripts/install.sh bench
venv=$cache/peers/fastapi
if ! cmp -s benches/peers/fastapi/requirements.txt "$venv/requirements.txt"; then
    say "Installing FastAPI"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r benches/peers/fastapi/requirements.txt
    cp benches/peers/fastapi/requirements.txt "$venv/requirements.txt"
fi
say "Building"
cargo build --quiet --release --features cli,postgres --bin sutazai
cargo build --quiet --release --manifest-path benches/peers/axum/Cargo.toml
export PYTHONPATH=$root/benches
exec "$venv/bin/python" benches/http/measure.py "$CARGO_TARGET_DIR/release/sutazai" "$venv/bin/python" \
    "$CARGO_TARGET_DIR/release/bare-axum"
