#!/usr/bin/env bash
# Our server, over PostgreSQL and over SQLite, beside one of FastAPI, uvicorn and asyncpg (benches/peers/fastapi) over the
# same PostgreSQL with every commit synced: the same routes, rows and token check, on this machine, in turns; and beside a
# handler of axum alone (benches/peers/axum). Both are asked with several numbers of threads or workers. ROUNDS, SECONDS_EACH,
# THREADS and PEER_WORKERS may be set. The medians go into docs/performance.md.
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
