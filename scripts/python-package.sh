#!/usr/bin/env bash
# Builds the Python package and installs it into the virtual environment of the tests. The package includes
# the libraries of llama.cpp, next to the extension module that needs them.
. "$(dirname "$0")/env.sh"
cd "$root/sutazai-py"
python=$("$root/scripts/python-env.sh")
profile=debug
native=$CARGO_TARGET_DIR/$profile/sutazai-native
cargo build --quiet -p sutazai-py
mkdir -p python/sutazai/_native
cp -u "$native"/*.so* python/sutazai/_native/
# pip refuses to replace a package without a list of its files, which an interrupted installation leaves.
for installed in "$(dirname "$(dirname "$python")")"/lib/python3*/site-packages/sutazai-*.dist-info; do
    [ ! -d "$installed" ] || [ -f "$installed/RECORD" ] || rm -r "$installed"
done
VIRTUAL_ENV=$(dirname "$(dirname "$python")") "$python" -m maturin develop --quiet
