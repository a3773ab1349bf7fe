#!/usr/bin/env bash
# `make test`: installs what the tests need, runs all of them, and leaves no process behind.
. "$(dirname "$0")/env.sh"
cd "$root"

scripts/install.sh test
SUTAZAI_TEST_MODEL=$(scripts/model.sh)
SUTAZAI_TEST_EMBEDDING_MODEL=$(scripts/embedding-model.sh)
SUTAZAI_TEST_LLAMA_SERVER=$(scripts/llama-server.sh)
SUTAZAI_TEST_PYTHON=$(scripts/python-env.sh)
SUTAZAI_TEST_FRAMEWORKS=$(scripts/frameworks-env.sh)
SUTAZAI_TEST_STREAMLIT=$(scripts/streamlit-env.sh)
SUTAZAI_TEST_OPENAI_JS=$(scripts/openai-js.sh)
SUTAZAI_REDOC=$(scripts/redoc.sh)
SUTAZAI_UI=$(scripts/ui.sh)
SUTAZAI_TEST_UI=$(scripts/ui.sh --work)
use_node
export SUTAZAI_UI SUTAZAI_TEST_UI SUTAZAI_REDOC SUTAZAI_TEST_MODEL SUTAZAI_TEST_EMBEDDING_MODEL SUTAZAI_TEST_LLAMA_SERVER SUTAZAI_TEST_PYTHON SUTAZAI_TEST_FRAMEWORKS SUTAZAI_TEST_STREAMLIT
export SUTAZAI_TEST_OPENAI_JS

say "Rust"
cargo test --workspace --all-features --no-fail-fast
say "Web interface"
scripts/ui-check.sh
say "Python"
scripts/python-package.sh
"$SUTAZAI_TEST_PYTHON" -m pytest -q sutazai-py/tests tests/python
