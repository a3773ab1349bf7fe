#!/usr/bin/env bash
# `make soak`: runs the fault injection for an hour over a million tasks; arguments are passed on, see
# `--help`.
. "$(dirname "$0")/env.sh"
cd "$root"

scripts/install.sh test
SUTAZAI_REDOC=$(scripts/redoc.sh)
export SUTAZAI_REDOC
[ $# -gt 0 ] || set -- --seconds 3600 --tasks 1000000
exec cargo test --release --all-features --test faults -- "$@"
