#!/usr/bin/env bash
# Builds the pages of the web interface into the cache and prints their folder; builds with SUTAZAI_UI set to that
# folder embed them. `ui.sh --work` prints the folder that has the sources with their npm packages instead, where
# the checks and tests run.
. "$(dirname "$0")/env.sh"

source=$root/sutazai-http/ui
work=$cache/ui

use_node
mkdir -p "$work"
exec 9>"$work/lock"
flock 9
packages=$(cat "$source/package.json" "$source/package-lock.json" | sha256sum)
if [ "$(cat "$work/packages" 2>/dev/null)" != "$packages" ]; then
    say "Fetching the packages of the web interface (270 MB)"
    rm -rf "$work/node_modules" "$work/packages"
    cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$work/"
    npm ci --prefix "$work" --ignore-scripts --silent >&2
    echo "$packages" >"$work/packages"
fi
sources=$(cd "$source" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [ "$(cat "$work/sources" 2>/dev/null)" != "$sources" ]; then
    say "Building the web interface"
    rm -rf "$work/sources" "$work/src" "$work/tests" "$work/dist"
    cp -r "$source/." "$work/"
    (cd "$work" && npx --no-install vite build --logLevel warn) >&2
    echo "$sources" >"$work/sources"
fi
[ "${1:-}" = --work ] && echo "$work" || echo "$work/dist"
