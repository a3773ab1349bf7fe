#!/usr/bin/env bash
# Downloads OpenAI's official JavaScript client, which tests run in Node.js and in a browser, and prints its
# folder.
. "$(dirname "$0")/env.sh"

package=openai@7.59.0
folder=$cache/openai-js
if [ "$(cat "$folder/package" 2>/dev/null)" != "$package" ]; then
    say "Fetching OpenAI's client for JavaScript (35 MB)"
    rm -rf "$folder"
    npm install --prefix "$folder" --no-audit --no-fund --silent "$package" >&2
    echo "$package" >"$folder/package"
fi
echo "$folder/node_modules/openai"
