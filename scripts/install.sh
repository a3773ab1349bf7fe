#!/usr/bin/env bash
# Installs the missing Debian packages and the Rust toolchain: `install.sh run`, `install.sh test` or
# `install.sh bench`. Without root it prints what to install and exits with 1.
. "$(dirname "$0")/env.sh"

build=(build-essential ca-certificates ccache cmake libclang-dev pkg-config python3 python3-pip python3-venv)
test=(chromium chromium-driver docker.io e2fsprogs faketime iproute2 iptables jq mount nginx-light pgbouncer postgresql procps prometheus
    psmisc qemu-user rabbitmq-server redis-server redis-tools strace stress-ng util-linux)
# Since version 13, Debian has the Docker client in a package of its own; testing has no version number.
if (. /etc/os-release && [ "$ID" = debian ] && [ "${VERSION_ID:-13}" -ge 13 ]) 2>/dev/null; then
    test+=(docker-cli)
fi
# A Node.js from another source includes npm.
npm=()
command -v npm >/dev/null || npm=(npm)
case "${1:-run}" in
run) wanted=("${build[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}" "${npm[@]}") ;;
bench)
    wanted=("${build[@]}" curl redis-server redis-tools wrk "${npm[@]}")
    ;;
*) echo "usage: install.sh run|test|bench" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "This machine does not run Debian. Install the equivalents of these packages: ${wanted[*]}" >&2
    exit 1
fi
missing=()
for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
rustup_by_hand=
if ! command -v cargo >/dev/null && ! command -v rustup >/dev/null; then
    # Debian has rustup since version 13.
    if [ -n "$(apt-cache policy rustup 2>/dev/null | sed -n '/Candidate: [^(]/p')" ]; then
        missing+=(rustup)
    else
        rustup_by_hand=yes
        command -v curl >/dev/null || missing+=(curl)
    fi
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif [ ${#missing[@]} -gt 0 ]; then
        echo "Packages are missing, and installing them needs root. Please run:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
fi
if [ ${#missing[@]} -gt 0 ]; then
    say "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
        { tail -20 "$cache/apt.log" >&2; exit 1; }
fi

if [ -n "$rustup_by_hand" ]; then
    say "Installing rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --quiet --no-modify-path >&2 || {
        echo "rustup cannot be fetched. Please install Rust (https://rustup.rs) and try again." >&2
        exit 1
    }
fi
if ! cargo --version >/dev/null 2>&1; then
    say "Installing the Rust toolchain"
    rustup default stable
fi
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
have=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -1)" != "$needed" ]; then
    echo "Rust $needed or later is needed, and $have is here. Please run: rustup update stable" >&2
    exit 1
fi
