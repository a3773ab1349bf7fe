#!/usr/bin/env bash
# Type-checks the libraries for other systems: `platforms.sh [TARGET...]`, by default Windows and macOS on x86-64. Nothing
# is linked or run. Zig, from a Python package, compiles the C code of the dependencies. The embedded model is left out: its
# process reports signals of Unix.
. "$(dirname "$0")/env.sh"
cd "$root"

scripts/install.sh run
SUTAZAI_REDOC=$(scripts/redoc.sh)
SUTAZAI_UI=$(scripts/ui.sh)
export SUTAZAI_REDOC SUTAZAI_UI
zig=$(virtual_environment zig "the checks for other systems (Zig)" ziglang==0.17.1)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

# Creates programs that compile C for Zig's TARGET and prints where they are: compiler TARGET. The options that name the
# target in the language of another compiler, and the search for Apple's SDK, are left out.
compiler() {
    local folder=$tools/$1
    mkdir -p "$folder"
    cat >"$folder/cc" <<PROGRAM
#!/usr/bin/env bash
options=() skip=
for option; do
    if [ -n "\$skip" ]; then skip=; continue; fi
    case \$option in
    --target=* | -mmacosx-version-min=* | -m64 | -gfull | -gdwarf*) ;;
    -arch | -isysroot | -target) skip=yes ;;
    *) options+=("\$option") ;;
    esac
done
exec "$zig" -m ziglang \$(basename "\$0") -target $1 "\${options[@]}"
PROGRAM
    cp "$folder/cc" "$folder/c++"
    printf '#!/bin/sh\nexec "%s" -m ziglang ar "$@"\n' "$zig" >"$folder/ar"
    chmod +x "$folder"/*
    echo "$folder"
}

[ $# != 0 ] || set -- x86_64-pc-windows-gnu x86_64-apple-darwin
for target; do
    case $target in
    x86_64-pc-windows-gnu) zig_target=x86_64-windows-gnu ;;
    x86_64-apple-darwin) zig_target=x86_64-macos ;;
    aarch64-apple-darwin) zig_target=aarch64-macos ;;
    *) echo "$target is not known. Known are x86_64-pc-windows-gnu, x86_64-apple-darwin and aarch64-apple-darwin." >&2; exit 2 ;;
    esac
    say "$target"
    rustup -q target add "$target"
    folder=$(compiler "$zig_target") name=${target//-/_}
    for tool in CC:cc CXX:c++ AR:ar; do
        export "${tool%:*}_$name=$folder/${tool#*:}"
    done
    # A folder without headers: Zig brings those of the system.
    export SDKROOT=$folder AWS_LC_SYS_PREBUILT_NASM=1
    check() { cargo check -q --locked --target "$target" "$@"; }
    check -p sutazai-core --all-features
    check -p sutazai-agent --features host-metrics,docker-metrics,gpu-metrics,ollama,openai
    check -p sutazai-store --all-features
    check -p sutazai --features postgres,redis,rabbitmq,http,host-metrics,docker-metrics,gpu-metrics,ollama,openai,otel
done
