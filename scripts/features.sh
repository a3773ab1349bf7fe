#!/usr/bin/env bash
# Checks that every crate compiles without features, with each feature alone and with the common combinations; warnings
# are errors. The dev profile is used, because it shares the dependencies, and the C++ of llama.cpp, with the other
# checks.
. "$(dirname "$0")/env.sh"
cd "$root"

# Prints one line for each package: its name, and its features except the default.
features() {
    cargo metadata --no-deps --format-version 1 --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    print(package["name"], *(name for name in package["features"] if name != "default"))'
}

check() {
    local package=$1 features=${2:-}
    cargo clippy -q --locked -p "$package" --no-default-features --features "$features" -- -D warnings </dev/null ||
        { say "$package does not compile with the features '$features'"; failed=yes; }
    checked=$((checked + 1))
}

began=$SECONDS checked=0 failed=
while read -r -a line; do
    package=${line[0]}
    for feature in "" "${line[@]:1}"; do
        check "$package" "$feature"
    done
done < <(features)

# An embedder's engine, a server with its own database, a server of many, a worker next to it, a small worker.
for combination in \
    "sqlite ollama openai host-metrics" \
    "sqlite ollama openai http host-metrics" \
    "postgres redis rabbitmq http api-docs ui otel" \
    "postgres redis ollama llama-cpp host-metrics docker-metrics gpu-metrics otel" \
    "postgres redis ollama host-metrics" \
    "cli postgres redis"; do
    check sutazai "$combination"
done

# A worker process has no server: its dependencies do not contain the HTTP one.
worker="postgres redis ollama host-metrics"
tree=$(cargo tree -q --locked -p sutazai -e no-dev --no-default-features --features "$worker" --prefix none)
for dependency in axum sutazai-http; do
    if grep -q "^$dependency " <<<"$tree"; then
        say "sutazai with the features '$worker' depends on $dependency"
        failed=yes
    fi
done
[ -z "$failed" ]
say "$checked sets of features compile ($((SECONDS - began)) s)"
