"""Models through the engine, and through agents: a small model run by llama.cpp in the package."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

import sutazai

MODEL = os.environ["SUTAZAI_TEST_MODEL"]
EMBEDDER = os.environ["SUTAZAI_TEST_EMBEDDING_MODEL"]
LONG = "start: /(a ){700}/"


class Verdict(BaseModel):
    fruit: Literal["apple", "pear"]
    count: int = Field(ge=0, le=9)


@sutazai.agent(uses_model=True, max_attempts=1)
def judge(text: str) -> Verdict:
    return sutazai.current().model.complete(text, output=Verdict, temperature=0)


@sutazai.agent(uses_model=True, max_attempts=1)
async def judge_slowly(text: str) -> str:
    context = sutazai.current_async()
    async with context.model.stream(text, max_tokens=8, temperature=0) as answer:
        async for piece in answer:
            context.text(piece)
    assert answer.usage is not None
    return answer.usage.finish_reason


@sutazai.agent(uses_model=True, max_attempts=1)
def write_for_ever() -> str:
    sutazai.current().progress(0.0, "begun")
    return sutazai.current().model.complete("Go on.", grammar=LONG, max_tokens=1900).text


@sutazai.agent(max_attempts=1)
def modest() -> str:
    return sutazai.current().model.complete("Hello").text


@pytest.fixture(scope="module")
def engine() -> Iterator[sutazai.Engine]:
    agents: list[sutazai.Agent[..., Any]] = [judge, judge_slowly, write_for_ever, modest]
    with sutazai.Engine(":memory:", agents=agents, models=[MODEL, EMBEDDER], environment=False) as engine:
        engine.models.load()
        yield engine


def test_models_are_listed_in_their_order(engine: sutazai.Engine) -> None:
    names = [model.name for model in engine.models.list()]
    assert len(names) == 2 and names[0].startswith("SmolLM2") and names[1].startswith("all-MiniLM")


def test_answer_has_its_usage(engine: sutazai.Engine) -> None:
    answer = engine.models.complete("Count to ten.", max_tokens=5, temperature=0)
    assert answer.text and answer.usage.finish_reason == "length" and answer.usage.completion_tokens == 5
    assert answer.usage.model.startswith("SmolLM2") and answer.usage.backend == "llama-cpp"
    assert answer.usage.degraded is None
    again = engine.models.complete([sutazai.Message("user", "Count to ten.")], max_tokens=5, temperature=0)
    assert again.text == answer.text


def test_answer_of_a_type_is_a_value(engine: sutazai.Engine) -> None:
    verdict = engine.models.complete("Two apples.", output=Verdict, temperature=0)
    assert isinstance(verdict, Verdict) and 0 <= verdict.count <= 9
    numbers = engine.models.complete("Name a number.", output=list[bool], max_tokens=40, temperature=0)
    assert all(isinstance(number, bool) for number in numbers)


def test_answer_that_was_cut_is_no_value(engine: sutazai.Engine) -> None:
    with pytest.raises(sutazai.MisfitError, match="cut after 2 tokens .length.*larger max_tokens"):
        engine.models.complete("Two apples.", output=Verdict, max_tokens=2)


def test_grammar_limits_the_answer(engine: sutazai.Engine) -> None:
    answer = engine.models.complete("Is water wet?", grammar='start: "yes" | "no"')
    assert answer.text in ("yes", "no")


def test_stream_has_the_text_in_pieces_and_then_its_usage(engine: sutazai.Engine) -> None:
    whole = engine.models.complete("Count to ten.", max_tokens=12, temperature=0)
    answer = engine.models.stream("Count to ten.", max_tokens=12, temperature=0)
    pieces = list(answer)
    assert "".join(pieces) == whole.text and len(pieces) > 1 and answer.usage == whole.usage
    assert list(answer) == [] and engine.models.stream("Count.", max_tokens=2).text()


def test_leaving_a_stream_stops_the_model(engine: sutazai.Engine) -> None:
    begun = time.monotonic()
    with engine.models.stream("Go on.", grammar=LONG, max_tokens=1900) as answer:
        assert next(answer) and answer.usage is None
    engine.models.complete("Count.", max_tokens=1)
    stopped = time.monotonic() - begun
    assert list(answer) == []
    begun = time.monotonic()
    with engine.models.stream("Go on.", grammar=LONG, max_tokens=1900) as answer:
        assert len(list(itertools.islice(answer, 150))) == 150
    assert stopped < (time.monotonic() - begun) / 2


def test_embeddings_are_near_for_similar_texts(engine: sutazai.Engine) -> None:
    model = engine.models.list()[1].name
    vectors = engine.models.embed(["a small cat", "a little kitten", "the stock market"], model=model)
    assert len(vectors) == 3 and vectors.dimensions == 384 and vectors.model == model
    assert vectors.matrix.shape == (3, 384) and vectors.matrix.format == "f"

    def near(a: memoryview[float], b: memoryview[float]) -> float:
        return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))

    cat, kitten, market = vectors
    assert near(cat, kitten) > near(cat, market) + 0.2 and vectors[-1].tolist() == market.tolist()


def test_errors_of_models_have_their_kind(engine: sutazai.Engine) -> None:
    with pytest.raises(sutazai.NotFoundError, match="SmolLM2"):
        engine.models.complete("Hello", model="unknown")
    with pytest.raises(sutazai.UnsupportedError):
        list(engine.models.pull("unknown"))
    with pytest.raises(sutazai.InvalidInputError):
        engine.models.complete("Hello", grammar="no grammar at all")
    with pytest.raises(TypeError, match="got temprature"):
        engine.models.complete("Hello", temprature=1)  # type: ignore[call-overload]  # pyright: ignore
    with sutazai.Engine(":memory:", environment=False) as other, pytest.raises(sutazai.UnavailableError) as e:
        other.models.complete("Hello")
    assert e.value.field == "MODEL_BACKENDS"


def test_stream_ends_with_its_engine() -> None:
    with sutazai.Engine(":memory:", models=[MODEL], environment=False) as engine:
        answer = engine.models.stream("Go on.", grammar=LONG, max_tokens=1900)
        assert next(answer)
    with pytest.raises(sutazai.ClosedError):
        list(answer)


def test_function_uses_the_model_of_its_engine(engine: sutazai.Engine) -> None:
    assert isinstance(engine.run(judge.task("Two apples."), timeout=60), Verdict)


def test_coroutine_streams_from_the_model(engine: sutazai.Engine) -> None:
    task = engine.submit(judge_slowly.task("Count to ten."))
    assert task.result(60) == "length"
    assert [event.text for event in task.events() if isinstance(event, sutazai.TextEvent)]


def test_agent_has_no_model_that_it_did_not_declare(engine: sutazai.Engine) -> None:
    with pytest.raises(sutazai.TaskFailedError, match=r"@agent\(uses_model=True\)"):
        engine.run(modest.task(), timeout=60)


def test_cancelled_agent_stops_its_model(engine: sutazai.Engine) -> None:
    task = engine.submit(write_for_ever.task())
    next(event for event in task.events() if isinstance(event, sutazai.ProgressEvent))
    begun = time.monotonic()
    task.cancel()
    assert task.wait(30).status == "cancelled"
    assert time.monotonic() - begun < 2


def test_requests_from_an_event_loop() -> None:
    async def main() -> None:
        async with sutazai.AsyncEngine(":memory:", models=[MODEL], environment=False) as engine:
            verdict, answer = await asyncio.gather(
                engine.models.complete("Two apples.", output=Verdict, temperature=0),
                engine.models.complete("Count.", max_tokens=3),
            )
            assert verdict.count >= 0 and answer.usage.completion_tokens == 3
            pieces = [piece async for piece in engine.models.stream("Count.", max_tokens=4)]
            assert pieces
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(engine.models.complete("Go on.", grammar=LONG, max_tokens=1900), 0.3)
            assert (await engine.models.complete("Count.", max_tokens=1)).text is not None

    asyncio.run(main())
