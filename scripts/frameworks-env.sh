#!/usr/bin/env bash
# Creates the virtual environment of frameworks with OpenAI clients, and prints the path of its Python. They
# need another version of the `openai` package than the other tests.
. "$(dirname "$0")/env.sh"

packages=(langchain-openai==1.7.4 llama-index-embeddings-openai-like==0.4.0 llama-index-llms-openai-like==0.8.1)
virtual_environment frameworks "LangChain and LlamaIndex" "${packages[@]}"
