#!/usr/bin/env bash
# Brings ReDoc's one file, which builds with SUTAZAI_REDOC set to its path embed, and prints that path.
. "$(dirname "$0")/env.sh"

# A package of Python carries it, so that nothing more than pip is needed; its licence (MIT) allows handing it on.
package=drf-spectacular-sidecar==2026.10.1
sum=dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b
file=$cache/redoc/redoc.standalone.js

if ! echo "$sum  $file" | sha256sum --check --status 2>/dev/null; then
    say "Fetching ReDoc (3 MB)"
    mkdir -p "$cache/redoc"
    temporary=$(mktemp -d "$cache/redoc/fetch.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --dest "$temporary" \
        "$package" >&2
    python3 -m zipfile -e "$temporary"/*.whl "$temporary/wheel"
    found=$temporary/wheel/drf_spectacular_sidecar/static/drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js
    echo "$sum  $found" | sha256sum --check --quiet >&2
    mv "$found" "$file"
fi
echo "$file"
