"""The official `openai` package against the OpenAI-compatible API, with a real model behind it."""

import json
import pathlib
import re
import time

import openai
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming
from openai.types.embedding_create_params import EmbeddingCreateParams

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "http-models.md"
SEA = [{"role": "user", "content": "Tell me about the sea."}]
CAT = {
    "type": "object",
    "properties": {
        "name": {"enum": ["Tom", "Mia"]},
        "legs": {"enum": [3, 4]},
    },
    "required": ["name", "legs"],
    "additionalProperties": False,
}


def ask(client, server, **more):
    parameters = {"model": server.model, "messages": SEA, "max_tokens": 16, "temperature": 0, **more}
    return client.chat.completions.create(**parameters)


def test_models(client, server):
    models = list(client.models.list())
    assert [model.id for model in models] == [server.model, server.embedding_model]
    assert client.models.retrieve(server.model).owned_by == "llama-cpp"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_every_parameter_of_the_api_is_documented():
    text = DOCS.read_text()
    for path, types in [
        ("chat/completions", [CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming]),
        ("embeddings", [EmbeddingCreateParams]),
    ]:
        section = text.split(f"### Parameters of `POST /v1/{path}`")[1].split("\n### ")[0]
        documented = set(re.findall(r"^\| `(\w+)` \| (?:taken|ignored|refused) \|", section, re.MULTILINE))
        assert documented == set().union(*(one.__annotations__ for one in types)), path


def test_complete_answer(client, server):
    answer = ask(client, server)
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content.strip()
    assert choice.finish_reason == "length" and answer.usage.completion_tokens == 16
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 16
    assert ask(client, server).choices[0].message.content == choice.message.content
    drawn = [ask(client, server, temperature=1.5, top_p=1, seed=seed).choices[0].message.content for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_streamed_answer(client, server):
    whole = ask(client, server).choices[0].message.content
    chunks = list(ask(client, server, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole and len(chunks) > 5
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 16


def test_stop(client, server):
    whole = ask(client, server).choices[0].message.content
    stop = whole.split()[3]
    answer = ask(client, server, stop=[stop]).choices[0]
    assert answer.finish_reason == "stop" and answer.message.content == whole[: whole.index(stop)]


@pytest.mark.parametrize("stream", [False, True])
def test_answer_matches_its_schema(client, server, stream):
    schema = {"type": "json_schema", "json_schema": {"name": "cat", "strict": True, "schema": CAT}}
    for seed in range(3):
        answer = ask(
            client, server, response_format=schema, max_tokens=200, temperature=1.5, seed=seed, stream=stream
        )
        if stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        else:
            text = answer.choices[0].message.content
        cat = json.loads(text)
        assert set(cat) == {"name", "legs"} and cat["name"] in ("Tom", "Mia") and cat["legs"] in (3, 4)


def test_a_json_object(client, server):
    # A small model may not complete its object; then the request fails, and another seed gives another text.
    whole = 0
    for seed in range(10):
        more = {"response_format": {"type": "json_object"}, "max_tokens": 400, "temperature": 1, "seed": seed}
        try:
            answer = ask(client, server, **more)
        except openai.BadRequestError as e:
            assert e.param == "max_tokens"
            continue
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
        whole += 1
        break
    assert whole == 1, "one of ten answers must be an object"


def test_errors_map_to_exception_classes(client, server):
    with pytest.raises(openai.AuthenticationError) as e:
        ask(server.client("sk-wrong"), server)
    assert e.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        ask(server.client(server.new_key("tasks:read")), server)
    with pytest.raises(openai.NotFoundError) as e:
        ask(client, server, model="gpt-4")
    assert e.value.code == "model_not_found" and server.model in str(e.value)
    for more in ({"n": 2}, {"logprobs": True}, {"temperature": 3}, {"messages": []}):
        with pytest.raises(openai.BadRequestError) as e:
            ask(client, server, **more)
        assert e.value.param == next(iter(more))
    with pytest.raises(openai.BadRequestError) as e:
        ask(client, server, messages=[{"role": "user", "content": "word " * 20_000}])
    assert e.value.param == "messages" and e.value.code == "context_length_exceeded"


def test_embeddings_equal_those_of_the_published_model(client, server):
    expected = server.embeddings
    texts = [one["text"] for one in expected]
    for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        made = client.embeddings.create(model=server.embedding_model, input=texts, **more)
        assert made.model == server.embedding_model
        assert made.usage.prompt_tokens == made.usage.total_tokens == sum(one["tokens"] for one in expected)
    for one, vector in zip(expected, client.embeddings.create(model=server.embedding_model, input=texts).data):
        assert len(vector.embedding) == 384
        assert sum(a * b for a, b in zip(one["vector"], vector.embedding)) > 0.999, one["text"]


def test_model_rejects_what_it_does_not_support(client, server):
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model=server.model, input="The sea.")
    assert e.value.code == "unsupported" and "makes no embeddings" in e.value.message
    with pytest.raises(openai.BadRequestError) as e:
        ask(client, server, model=server.embedding_model)
    assert e.value.code == "unsupported" and "writes no text" in e.value.message
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model=server.embedding_model, input="word " * 600)
    assert e.value.param == "input"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="text-embedding-3-small", input="The sea.")


def test_exhausted_key_does_not_limit_other_keys(server):
    slow = server.call("POST", "/api/v1/auth/api-keys", {"name": "slow", "scopes": ["models:use"], "requests_per_minute": 1})
    with server.client(slow["key"]) as slow, server.client() as other:
        slow.models.list()
        with pytest.raises(openai.RateLimitError) as e:
            slow.models.list()
        assert e.value.code == "rate_limit_exceeded" and int(e.value.response.headers["retry-after"]) > 0
        other.models.list()


def test_closed_streams_stop_the_model_and_release_the_quota(client, server):
    endless = {"max_tokens": 1500, "temperature": 1.0, "stream": True}
    streams = [ask(client, server, **endless) for _ in range(2)]
    for stream in streams:
        next(stream)
    with pytest.raises(openai.RateLimitError) as e:
        ask(client, server)
    assert e.value.code == "rate_limit_exceeded" and e.value.response.headers["retry-after"] == "1"
    for stream in streams:
        stream.close()
    begun = time.monotonic()
    while True:
        try:
            ask(client, server, max_tokens=1)
            break
        except openai.RateLimitError:
            assert time.monotonic() - begun < 5
    assert time.monotonic() - begun < 5


def test_unsupported_pull_fails_its_task(server):
    task = server.call("POST", "/api/v1/models/pull", {"model": "tinyllama"})
    for _ in range(200):
        task = server.call("GET", f"/api/v1/tasks/{task['id']}")
        if task["status"] == "failed":
            break
        time.sleep(0.05)
    assert task["agent"] == "model-puller" and task["error"]["kind"] == "unsupported", task
