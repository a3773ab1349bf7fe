#!/usr/bin/env bash
# What one snapshot of the host costs beside psutil collecting the same things, in turns.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_TEST_PYTHON=$(scripts/python-env.sh)
export SUTAZAI_TEST_PYTHON
cargo bench --quiet -p sutazai-agent --features system --bench snapshot
