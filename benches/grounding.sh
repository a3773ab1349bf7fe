#!/usr/bin/env bash
# The blind comparison of the model's texts with the rules' (benches/grounding.md), with the small model.
# grounding.sh pairs FOLDER [SEED] | judged FOLDER | fluency [FOLDER] | judged-fluency FOLDER
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
MODEL_BACKENDS=llama-cpp=$(scripts/model.sh)
export MODEL_BACKENDS
cargo bench --quiet -p sutazai-agent --features llama-cpp-native --bench grounding -- "$@"
