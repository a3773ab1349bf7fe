#!/usr/bin/env bash
# Builds the Python package and installs it into the virtual environment of the tests.
. "$(dirname "$0")/env.sh"
cd "$root/sutazai-py"
python=$("$root/scripts/python-env.sh")
VIRTUAL_ENV=$(dirname "$(dirname "$python")") "$python" -m maturin develop --quiet
