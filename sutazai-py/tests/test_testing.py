"""Tools for tests of agents: scripted models and the fixtures of pytest."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import sutazai
from sutazai.testing import ScriptedModel, async_engine, engine


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
