#!/usr/bin/env bash
# Fuzzes every target with libFuzzer, guided by coverage: fuzz.sh [SECONDS] [TARGET...], by default 600
# seconds each. `make test` runs the same targets for two seconds each, without coverage. Corpora are kept in
# the cache; the path of a failing input is printed, and `cargo test` repeats it from there.
. "$(dirname "$0")/env.sh"
cd "$root"
scripts/install.sh run
seconds=${1:-600}
[ $# = 0 ] || shift

# Flags of the coverage that libFuzzer needs. Compiler passes are chosen by name, which the stable compiler permits only
# with RUSTC_BOOTSTRAP.
flags="--cfg fuzzing -Cpasses=sancov-module --cfg fuzzing_libfuzzer"
for option in inline-8bit-counters level=4 pc-table trace-compares stack-depth; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
platform=$(rustc -vV | sed -n 's/^host: //p')

# Packages, each with its targets.
targets=(
    "sutazai-core domain::fuzz::schemas domain::fuzz::cron_patterns documents::fuzz::files"
    "sutazai-agent models::wire::fuzz::server_sent_events models::wire::fuzz::lines_of_json
        models::llama_cpp::fuzz::frames_of_the_child_and_of_its_parent"
    "sutazai-http fuzz::forms_with_files fuzz::cursors_and_ids fuzz::messages_of_sockets fuzz::chat_requests
        fuzz::forwarded_addresses"
    "sutazai config::fuzz::configuration_files config::fuzz::values_of_the_environment"
)

# Only libraries are instrumented, because tests without a target do not link libFuzzer. All are built together, so that
# each dependency is compiled once. Cargo keeps the flags from build scripts if a platform is named.
say "Building"
declare -A programs
while read -r program; do
    name=${program##*/}
    programs[${name%-*}]=$program
done < <(
    RUSTFLAGS=$flags RUSTC_BOOTSTRAP=1 BOLERO_FUZZER=libfuzzer cargo test --lib --no-run --profile fuzz --locked \
        --target "$platform" --target-dir "$CARGO_TARGET_DIR/fuzz" --all-features \
        $(printf -- '--package %s ' "${targets[@]%% *}") 2>&1 |
        tee /dev/stderr | sed -n 's/.*Executable.*(\(.*\))$/\1/p'
)

failed=()
for line in "${targets[@]}"; do
    read -r -d '' -a words <<<"$line" || true
    package=${words[0]}
    for target in "${words[@]:1}"; do
        [ $# = 0 ] || [[ " $* " == *" $target "* ]] || continue
        corpus=$cache/fuzz/$package/$target
        mkdir -p "$corpus/corpus" "$corpus/crashes"
        say "$package $target"
        program=${programs[${package//-/_}]:?was not built}
        # The libraries of llama.cpp are in the folder of the program.
        LD_LIBRARY_PATH=$(dirname "$program")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
            BOLERO_TEST_NAME=$target BOLERO_LIBTEST_HARNESS=1 \
            BOLERO_LIBFUZZER_ARGS="$corpus/corpus $corpus/crashes -artifact_prefix=$corpus/crashes/ -timeout=10 -max_total_time=$seconds" \
            "$program" "$target" --exact --nocapture --quiet --test-threads 1 ||
            failed+=("$target")
    done
done
[ ${#failed[@]} = 0 ] || { say "Failed: ${failed[*]}"; exit 1; }
