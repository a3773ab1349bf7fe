#!/usr/bin/env bash
# Checks formatting, lints, docs and dependencies; warnings are errors.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_REDOC=$(scripts/redoc.sh)
export SUTAZAI_REDOC
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
scripts/deny.sh
