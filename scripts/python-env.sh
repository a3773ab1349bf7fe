#!/usr/bin/env bash
# Makes the virtual environment of the tests and the benchmarks, and prints the path of its Python.
. "$(dirname "$0")/env.sh"

packages=(maturin==1.9.6 openai==3.54.0 openapi-python-client==0.29.1 psutil==7.1.0 pytest==8.4.2 schemathesis==4.32.5
    selenium==4.48.0)
venv=$cache/venv
python=$venv/bin/python
if [ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]; then
    say "Making the Python environment of the tests"
    { python3 -m venv --clear "$venv" && "$python" -m pip install -q --disable-pip-version-check "${packages[@]}"; } >&2
    echo "${packages[*]}" >"$venv/packages"
fi
echo "$python"
