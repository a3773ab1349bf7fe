#!/usr/bin/env bash
# Tasks a second and the latency from submit to start over an SQLite file, every commit synced.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
cargo bench --quiet -p sutazai --bench queue_sqlite
