#!/usr/bin/env bash
# Makes the virtual environment of frameworks that speak OpenAI's API, and prints the path of its Python. They want another
# version of OpenAI's own client than the other tests do.
. "$(dirname "$0")/env.sh"

packages=(langchain-openai==1.7.4 llama-index-embeddings-openai-like==0.4.0 llama-index-llms-openai-like==0.8.1)
venv=$cache/frameworks
python=$venv/bin/python
if [ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]; then
    say "Making the Python environment of LangChain and LlamaIndex"
    { python3 -m venv --clear "$venv" && "$python" -m pip install -q --disable-pip-version-check "${packages[@]}"; } >&2
    echo "${packages[*]}" >"$venv/packages"
fi
echo "$python"
