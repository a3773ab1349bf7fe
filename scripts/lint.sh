#!/usr/bin/env bash
# Formatting, lints, docs and dependencies, all without a warning.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
scripts/deny.sh
