#!/usr/bin/env bash
# Checks the pages of the web interface: types against the server's own OpenAPI document, formatting, lints, unit tests.
# Needs the built binary.
. "$(dirname "$0")/env.sh"
use_node
work=$("$root/scripts/ui.sh" --work)
"$CARGO_TARGET_DIR/debug/sutazai" openapi >"$work/openapi.json"
cd "$work"
npx --no-install openapi-typescript openapi.json --output src/api/schema.d.ts --alphabetize >&2
npx --no-install tsc --noEmit
npx --no-install biome check --error-on-warnings .
npx --no-install vitest run
