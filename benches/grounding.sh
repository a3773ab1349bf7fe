#!/usr/bin/env bash
# A hundred analyses by the small model: how many texts are the model's, whether all are true, twenty of them to read.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
SUTAZAI_TEST_MODEL=$(scripts/model.sh)
export SUTAZAI_TEST_MODEL
cargo bench --quiet -p sutazai-agent --features llama-cpp-native --bench grounding
