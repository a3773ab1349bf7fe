#!/usr/bin/env bash
# Downloads the one file of ReDoc and prints its path; builds with SUTAZAI_REDOC set to that path embed it.
. "$(dirname "$0")/env.sh"

# A Python package contains it, so that only pip is needed; its license (MIT) permits redistribution.
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
