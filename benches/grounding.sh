#!/usr/bin/env bash
# Blind comparison of the small model's texts with those of the rules (benches/grounding.md). Usage:
# grounding.sh pairs FOLDER [SEED] | judged FOLDER | fluency [FOLDER] | judged-fluency FOLDER
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
scripts/install.sh run
MODEL_BACKENDS=llama-cpp=$(scripts/model.sh)
export MODEL_BACKENDS
cargo bench --quiet -p sutazai-agent --features llama-cpp-native --bench grounding -- "$@"
