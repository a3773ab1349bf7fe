#!/usr/bin/env bash
# Formatting, lints, docs and dependencies, all without a warning.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_REDOC=$(scripts/redoc.sh)
export SUTAZAI_REDOC
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
scripts/deny.sh
