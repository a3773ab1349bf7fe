#!/usr/bin/env bash
# Compares the Python package with Python's task queues, in alternating rounds: tasks without work drained by one process,
# and the time from submit to start. Then measures what single calls of the package cost. Settings: ROUNDS, TASKS (maximum
# per measurement), and ONLY (part of a name; the tables are then only printed). The package is the wheel in WHEEL, or the
# one that scripts/wheel.sh builds. The medians are written to docs/performance.md, or to the file in DOCUMENT.
. "$(dirname "$0")/../../scripts/env.sh"
cd "$root"

scripts/install.sh test
scripts/install.sh bench
wheel=${WHEEL:-$(scripts/wheel.sh)}
place=$cache/peers/package
if ! cmp -s benches/python/requirements.txt "$place/requirements.txt"; then
    say "Installing the task queues"
    python3 -m venv --clear "$place"
    "$place/bin/pip" install -q --disable-pip-version-check -r benches/python/requirements.txt
    cp benches/python/requirements.txt "$place/requirements.txt"
fi
"$place/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$wheel"
export PYTHONPATH=$root/benches:$root/benches/queue
exec "$place/bin/python" benches/python/measure.py
