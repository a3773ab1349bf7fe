#!/usr/bin/env bash
# Fuzzes every target with libFuzzer, guided by coverage: fuzz.sh [SECONDS] [TARGET...], by default 600
# seconds each. `make test` runs the same targets for two seconds each, without coverage. Corpora are kept in
# the cache; the path of a failing input is printed, and `cargo test` repeats it from there.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
seconds=${1:-600}
[ $# = 0 ] || shift

version=0.13.5
bolero=$cache/cargo-bolero
if [ "$("$bolero/bin/cargo-bolero" bolero --version 2>/dev/null | awk '{ print $NF }')" != "$version" ]; then
    say "Installing cargo-bolero $version (some minutes, once)"
    cargo install --quiet --locked --root "$bolero" --version "$version" cargo-bolero
fi

# Package, its features, and its targets.
targets=(
    "sutazai-core test-util domain::fuzz::schemas domain::fuzz::cron_patterns documents::fuzz::files"
    "sutazai-agent ollama,openai,llama-cpp models::wire::fuzz::server_sent_events models::wire::fuzz::lines_of_json
        models::llama_cpp::fuzz::frames_of_the_child_and_of_its_parent"
    "sutazai-http - fuzz::forms_with_files fuzz::cursors_and_ids fuzz::messages_of_sockets fuzz::chat_requests
        fuzz::forwarded_addresses"
    "sutazai sqlite,http,host-metrics config::fuzz::configuration_files config::fuzz::values_of_the_environment"
)
failed=()
for line in "${targets[@]}"; do
    read -r -d '' -a words <<<"$line" || true
    package=${words[0]} features=${words[1]}
    for target in "${words[@]:2}"; do
        [ $# = 0 ] || [[ " $* " == *" $target "* ]] || continue
        corpus=$cache/fuzz/$package/$target
        mkdir -p "$corpus/corpus" "$corpus/crashes"
        say "$package $target"
        # Sanitizers need a nightly compiler; overflow checks and assertions do not.
        "$bolero/bin/cargo-bolero" bolero test "$target" --package "$package" --engine libfuzzer --sanitizer NONE \
            $([ "$features" = - ] || echo --no-default-features --features "$features") --rustc-bootstrap \
            --target-dir "$CARGO_TARGET_DIR/fuzz" --corpus-dir "$corpus/corpus" --crashes-dir "$corpus/crashes" \
            -T "${seconds}s" || failed+=("$target")
    done
done
[ ${#failed[@]} = 0 ] || { say "Failed: ${failed[*]}"; exit 1; }
