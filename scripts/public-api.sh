#!/usr/bin/env bash
# Compares the public API of every crate with its snapshot in public-api/, so that a review sees each change of it:
# `public-api.sh`. `public-api.sh update` writes the snapshots.
. "$(dirname "$0")/env.sh"
cd "$root"
crates=(sutazai sutazai-core sutazai-agent sutazai-store sutazai-http sutazai-bodies)
snapshots=$root/public-api

# The version and the format of rustdoc's JSON belong together: Rust 1.95 writes format 57.
version=0.52.0 format=57
tool=$cache/cargo-public-api
if [ "$("$tool/bin/cargo-public-api" public-api --version 2>/dev/null | awk '{ print $NF }')" != "$version" ]; then
    say "Installing cargo-public-api $version (some minutes, once)"
    cargo install --quiet --locked --debug --root "$tool" --version "$version" cargo-public-api
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
# A stable rustdoc writes JSON only with this variable. It is set for rustdoc alone: build scripts that probe for
# features of nightly compilers would see it too, and all dependencies would be compiled once more.
printf '#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc "$@"\n' >"$folder/rustdoc"
chmod +x "$folder/rustdoc"
RUSTDOC=$folder/rustdoc RUSTDOCFLAGS="-Z unstable-options --output-format json" \
    cargo doc --quiet --locked --workspace --lib --no-deps --all-features

mkdir -p "$snapshots"
changed=
for crate in "${crates[@]}"; do
    json=$CARGO_TARGET_DIR/doc/${crate//-/_}.json
    written=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["format_version"])' "$json")
    [ "$written" = "$format" ] || {
        say "rustdoc writes JSON of format $written; set the version of cargo-public-api in $0 to one that reads it"
        exit 1
    }
    # Without blanket implementations, automatic traits, derived implementations, and what mockall makes of each port.
    "$tool/bin/cargo-public-api" public-api --rustdoc-json "$json" -sss | grep -v "Mock\|__mock" >"$folder/$crate.txt"
    if [ "${1:-}" = update ]; then
        cp "$folder/$crate.txt" "$snapshots/$crate.txt"
    else
        diff -u --label "public-api/$crate.txt" --label "$crate now" "$snapshots/$crate.txt" "$folder/$crate.txt" ||
            changed=yes
    fi
done
[ -z "$changed" ] || {
    say "The public API has changed. If that is intended, run scripts/public-api.sh update and commit public-api/."
    exit 1
}
