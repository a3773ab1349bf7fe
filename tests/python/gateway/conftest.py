"""A server with the small models, and a client of it."""

import json
import os
import pathlib

import openai
import pytest


@pytest.fixture(scope="session")
def server(start):
    model = pathlib.Path(os.environ["SUTAZAI_TEST_MODEL"])
    embedding_model = pathlib.Path(os.environ["SUTAZAI_TEST_EMBEDDING_MODEL"])
    server = start(
        MODEL_BACKENDS=f"llama-cpp={model},llama-cpp={embedding_model}",
        DEFAULT_MODEL=model.stem,
        MODEL_REQUESTS_PER_USER="2",
    )
    server.model, server.embedding_model = model.stem, embedding_model.stem
    server.embeddings = json.loads(embedding_model.with_suffix(".json").read_text())
    key = server.new_key("models:use")
    server.client = lambda key=key: openai.OpenAI(
        base_url=f"http://{server.address}/v1", api_key=key, max_retries=0, timeout=120
    )
    return server


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
