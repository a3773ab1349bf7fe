"""Tools for tests of agents: scripted models and the fixtures of pytest."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

import sutazai
from sutazai.testing import Clock, ScriptedModel, async_engine, context, engine, no_models


class Invoice(BaseModel):
    number: str
    total: float


@sutazai.agent(uses_model=True, max_attempts=1)
def read(text: str) -> Invoice:
    return sutazai.current().model.complete(f"Read: {text}", output=Invoice, max_tokens=50)


@sutazai.agent(uses_model=True, max_attempts=1)
async def ask(text: str) -> str:
    return await sutazai.current_async().model.stream(text).text()


def test_agent_answers_from_a_script() -> None:
    model = ScriptedModel('{"number": "7", "total": 1.5}', "just words", sutazai.BusyError("full", retry_after=3))
    with engine(read, model=model) as opened:
        assert opened.run(read.task("a bill")) == Invoice(number="7", total=1.5)
        for kind in ("misfit", "busy", "unavailable"):
            with pytest.raises(sutazai.TaskFailedError) as e:
                opened.run(read.task("a bill"))
            assert e.value.error.kind == kind
    request = model.requests[0]
    assert (request.messages, request.max_tokens) == ((sutazai.Message("user", "Read: a bill"),), 50)
    assert request.constraint and set(request.constraint) == {"json_schema"} and len(model.requests) == 4


def test_coroutine_answers_from_a_script() -> None:
    async def main() -> None:
        async with async_engine(ask, model=ScriptedModel("one two three")) as opened:
            assert await opened.run(ask.task("Count.")) == "one two three"

    asyncio.run(main())


def test_engine_of_a_test_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_BACKENDS", "llama-cpp=" + os.environ["SUTAZAI_TEST_MODEL"])
    with engine() as opened, pytest.raises(sutazai.UnavailableError):
        opened.models.list()


def test_fixture_closes_its_engines(tmp_path: Path) -> None:
    (tmp_path / "test_agents.py").write_text(
        '''
import pytest
import sutazai
from sutazai.testing import ScriptedModel

@sutazai.agent(uses_model=True)
def ask(text: str) -> str:
    return sutazai.current().model.complete(text).text

kept = []

def test_agent(sutazai_engine):
    engine = sutazai_engine(ask, model=ScriptedModel("yes"))
    assert engine.run(ask.task("Well?")) == "yes"
    kept.append(engine)

def test_closed():
    with pytest.raises(sutazai.ClosedError):
        kept[0].run(ask.task("Well?"))
''',
        "utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_agents.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


@sutazai.agent
def remind(text: str, days: int) -> str:
    context = sutazai.current()
    context.progress(0.5, "waiting")
    context.sleep(days * 24 * 3600)
    context.text(text)
    context.submit(add.task(days, 1))
    return f"{text} on {context.now():%d %B}"


@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y


@sutazai.agent
def add_up(numbers: list[int]) -> int:
    context = sutazai.current()
    if not context.children:
        context.wait_for(*(add.task(number, 0) for number in numbers), state={"numbers": len(numbers)})
    results: list[int] = [child.result for child in context.children]
    return int(context.state["numbers"]) + sum(results)


def test_recorded_context_of_a_function() -> None:
    clock = Clock()
    with context(clock=clock, attempt=2) as seen:
        assert sutazai.current().attempt == 2
        assert remind("call", 2) == "call on 03 January"
    assert (seen.progress, seen.text) == ([(0.5, "waiting")], "call")
    assert [task.payload for task in seen.submitted] == [{"x": 2, "y": 1}]
    assert clock.now == Clock().now + timedelta(days=2) and not seen.waits
    with pytest.raises(RuntimeError):
        sutazai.current()


def test_recorded_context_has_a_model() -> None:
    model = ScriptedModel('{"number": "7", "total": 1.5}', "one two")
    with context(model=model) as seen:
        assert read("a bill").number == "7"
        assert asyncio.run(ask("Count.")) == "one two"
    assert len(model.requests) == 2 and not seen.progress
    with context(), pytest.raises(sutazai.UnavailableError, match="ScriptedModel"):
        read("a bill")


def test_agent_that_waits_leaves_its_context() -> None:
    with context() as seen:
        add_up([1, 2])
        raise AssertionError("the agent went on")
    assert [task.payload for task in seen.waits] == [{"x": 1, "y": 0}, {"x": 2, "y": 0}]
    with engine(add) as opened:
        children = opened.tasks.wait_all(opened.submit_all(seen.waits))
    with context(state=seen.state, children=children):
        assert add_up([1, 2]) == 5


def test_recorded_context_is_cancelled() -> None:
    with context() as seen:
        seen.cancel()
        assert sutazai.current().cancelled
        with pytest.raises(sutazai.CancelledError):
            remind("call", 1)
    assert not seen.progress


def test_no_model_can_be_asked() -> None:
    real = {"MODEL_BACKENDS": "llama-cpp=" + os.environ["SUTAZAI_TEST_MODEL"]}
    with no_models():
        with sutazai.Engine(":memory:", agents=[read], settings=real, environment=False) as opened:
            with pytest.raises(RuntimeError, match="no_models"):
                opened.models.complete("Hello")
            with pytest.raises(RuntimeError, match="no_models"):
                opened.models.stream("Hello")
            with pytest.raises(sutazai.TaskFailedError, match="no_models"):
                opened.run(read.task("a bill"))
        with engine(read, model=ScriptedModel('{"number": "7", "total": 1.5}')) as opened:
            assert opened.run(read.task("a bill")).number == "7"
    with engine() as opened, pytest.raises(sutazai.UnavailableError):
        opened.models.complete("Hello")
