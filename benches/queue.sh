#!/usr/bin/env bash
# Tasks a second and the latency from submit to start over an SQLite file and over a PostgreSQL server of its own, every
# commit synced.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh test
cargo bench --quiet -p sutazai --features postgres --bench queue --no-run

coproc server { exec scripts/postgres.sh shared_buffers=256MB; }
server_pid=$! stdin=${server[1]}
read -r address <&"${server[0]}"
read -r _ <&"${server[0]}"
read -r programs <&"${server[0]}"
databases=
for n in 1 2 3 4 5; do
    "$programs/psql" -qX "$address/postgres" -c "CREATE DATABASE bench_$n"
    databases+="$address/bench_$n"$'\n'
done
SUTAZAI_BENCH_POSTGRES=$databases cargo bench --quiet -p sutazai --features postgres --bench queue
exec {stdin}>&-
wait "$server_pid"
