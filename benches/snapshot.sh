#!/usr/bin/env bash
# Compares the cost of one snapshot of the host with psutil collecting the same data, in alternating rounds.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_TEST_PYTHON=$(scripts/python-env.sh)
export SUTAZAI_TEST_PYTHON
cargo bench --quiet -p sutazai-agent --features host-metrics --bench snapshot
