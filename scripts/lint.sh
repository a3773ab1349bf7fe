#!/usr/bin/env bash
# Checks formatting, lints, sets of features, docs, the public API and dependencies; warnings are errors.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_REDOC=$(scripts/redoc.sh)
SUTAZAI_UI=$(scripts/ui.sh)
export SUTAZAI_REDOC SUTAZAI_UI
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features -- -D warnings
scripts/features.sh
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
scripts/public-api.sh
scripts/deny.sh
