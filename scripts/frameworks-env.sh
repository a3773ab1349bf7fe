#!/usr/bin/env bash
# Makes the virtual environment of frameworks that speak OpenAI's API, and prints the path of its Python. They want another
# version of OpenAI's own client than the other tests do.
. "$(dirname "$0")/env.sh"

packages=(langchain-openai==1.7.4 llama-index-embeddings-openai-like==0.4.0 llama-index-llms-openai-like==0.8.1)
virtual_environment frameworks "LangChain and LlamaIndex" "${packages[@]}"
