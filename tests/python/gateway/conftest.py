"""A client for the server with the small models."""

import json
import os
import pathlib

import openai
import pytest


@pytest.fixture(scope="session")
def server(embedded):
    embedding_model = pathlib.Path(os.environ["SUTAZAI_TEST_EMBEDDING_MODEL"])
    embedded.embeddings = json.loads(embedding_model.with_suffix(".json").read_text())
    key = embedded.new_key("models:use")
    embedded.client = lambda key=key: openai.OpenAI(
        base_url=f"http://{embedded.address}/v1", api_key=key, max_retries=0, timeout=120
    )
    return embedded


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
