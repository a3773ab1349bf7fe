"""Own model backends: functions and coroutines that answer the engine's requests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import sutazai
from sutazai.testing import check_model_backend


def wait_until(condition: Callable[[], bool], limit: float = 5) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.005)


def usage(request: sutazai.ModelRequest, count: int) -> sutazai.Usage:
    assert request.model is not None
    reason: Any = "length" if count == request.max_tokens else "stop"
    words = sum(len(message.content.split()) for message in request.messages)
    return sutazai.Usage(model=request.model, prompt_tokens=words, completion_tokens=count, finish_reason=reason)


def vector(text: str) -> list[float]:
    return [1.0, *(float(text.lower().count(letter)) for letter in "etaoins")]


class Shout(sutazai.ModelBackend):
    """Repeats the last message loudly, again and again."""

    name = "shout"

    def models(self) -> list[sutazai.ModelInfo]:
        return [sutazai.ModelInfo("loud"), sutazai.ModelInfo("louder")]

    def generate(self, request: sutazai.ModelRequest) -> Iterator[str | sutazai.Usage]:
        words = (request.messages[-1].content.upper().split() * request.max_tokens)[: request.max_tokens]
        for word in words:
            yield word + " "
        yield usage(request, len(words))

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        return [vector(text) for text in texts]


class AsyncShout(sutazai.AsyncModelBackend):
    """Does the same with coroutines."""

    name = "async-shout"

    async def models(self) -> list[sutazai.ModelInfo]:
        return [sutazai.ModelInfo("loud")]

    async def generate(self, request: sutazai.ModelRequest) -> AsyncIterator[str | sutazai.Usage]:
        words = (request.messages[-1].content.upper().split() * request.max_tokens)[: request.max_tokens]
        for word in words:
            await asyncio.sleep(0)
            yield word + " "
        yield usage(request, len(words))

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        await asyncio.sleep(0)
        return [vector(text) for text in texts]


class Scripted(sutazai.ModelBackend):
    """Yields what it was made with, and then the usage unless that is among it."""

    name = "scripted-by-python"
    constraints = frozenset({"json_schema"})

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.requests: list[sutazai.ModelRequest] = []

    def models(self) -> list[sutazai.ModelInfo]:
        return [sutazai.ModelInfo("script")]

    def generate(self, request: sutazai.ModelRequest) -> Iterator[str | sutazai.Usage]:
        self.requests.append(request)
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
        yield sutazai.Usage(model="script", prompt_tokens=1, completion_tokens=1, finish_reason="stop")


def engine_with(*models: sutazai.ModelBackend | sutazai.AsyncModelBackend, **options: Any) -> sutazai.Engine:
    return sutazai.Engine(":memory:", models=models, environment=False, **options)


@pytest.mark.parametrize("make", [Shout, AsyncShout])
def test_own_backend_conforms(make: Any) -> None:
    check_model_backend(make)


def test_suite_names_what_does_not_conform() -> None:
    class Endless(Shout):
        def generate(self, request: sutazai.ModelRequest) -> Iterator[str | sutazai.Usage]:
            yield from ("word " for _ in range(request.max_tokens + 1))
            yield usage(request, request.max_tokens + 1)

    with pytest.raises(AssertionError, match="1 allowed"):
        check_model_backend(Endless)


@sutazai.agent(uses_model=True, max_attempts=1)
def ask(text: str) -> str:
    return sutazai.current().model.complete(text, max_tokens=3).text


@sutazai.agent(uses_model=True, max_attempts=1)
async def ask_slowly(text: str) -> str:
    return await sutazai.current_async().model.stream(text, max_tokens=3).text()


@pytest.mark.parametrize("backend", [Shout(), AsyncShout()])
def test_agents_and_programs_use_an_own_backend(backend: Any) -> None:
    with engine_with(backend, agents=[ask, ask_slowly]) as engine:
        assert engine.run(ask.task("a b"), timeout=10) == "A B A "
        assert engine.run(ask_slowly.task("a b"), timeout=10) == "A B A "
        answer = engine.models.complete("hello", max_tokens=1)
        assert (answer.text, answer.usage.backend, answer.usage.model) == ("HELLO ", backend.name, "loud")
        assert (answer.usage.finish_reason, answer.usage.degraded) == ("length", None)
        assert [model.backend for model in engine.models.list()][:1] == [backend.name]
        embeddings = engine.models.embed(["tea", "sea"])
        assert [list(row) for row in embeddings] == [vector("tea"), vector("sea")] and embeddings.model == "loud"
        with pytest.raises(sutazai.NotFoundError, match="loud"):
            engine.models.complete("hello", model="quiet")


def test_coroutines_answer_on_the_loop_of_an_async_engine() -> None:
    async def main() -> None:
        loops: list[asyncio.AbstractEventLoop] = []

        class Here(AsyncShout):
            async def models(self) -> list[sutazai.ModelInfo]:
                loops.append(asyncio.get_running_loop())
                return await super().models()

        async with sutazai.AsyncEngine(":memory:", models=[Here()], environment=False) as engine:
            assert (await engine.models.complete("a", max_tokens=2)).text == "A A "
        assert set(loops) == {asyncio.get_running_loop()}

    asyncio.run(main())


def test_backends_are_asked_in_their_order() -> None:
    away = Scripted(ConnectionError("no route"))
    with engine_with(away, Shout()) as engine:
        answer = engine.models.complete("a", max_tokens=1)
        assert answer.text == "A " and answer.usage.degraded and "no route" in answer.usage.degraded
    with engine_with(away, Shout(), default_model="louder") as engine:
        assert engine.models.complete("a", max_tokens=1).usage.model == "louder"


def test_request_has_all_options() -> None:
    backend = Scripted('{"a": 1}')
    with engine_with(backend) as engine:
        options: Any = {"temperature": 0.5, "top_p": 0.25, "repeat_penalty": 1.5, "seed": 7, "stop": ["x"], "timeout": 9}
        assert engine.models.complete("Hi", output=dict[str, int], max_tokens=4, **options) == {"a": 1}
    (request,) = backend.requests
    assert (request.model, request.messages, request.max_tokens) == ("script", (sutazai.Message("user", "Hi"),), 4)
    assert (request.temperature, request.top_p, request.repeat_penalty, request.seed) == (0.5, 0.25, 1.5, 7)
    assert (list(request.stop), request.grammar) == (["x"], None) and 8 < (request.timeout or 0) <= 9
    assert request.json_schema and request.json_schema["type"] == "object"


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (sutazai.InvalidInputError("expected less", field="messages"), sutazai.InvalidInputError),
        (sutazai.ContextLengthError("too long"), sutazai.ContextLengthError),
        (sutazai.UnsupportedError("not here"), sutazai.UnsupportedError),
        (KeyError("bug"), sutazai.InternalError),
        (7, sutazai.InternalError),
        (sutazai.Usage(model="script", prompt_tokens=1, completion_tokens=1, finish_reason="stop"), sutazai.InternalError),
        ("no JSON", sutazai.MisfitError),
    ],
)
def test_errors_keep_their_kind(piece: Any, error: type[Exception]) -> None:
    with engine_with(Scripted(piece)) as engine, pytest.raises(error):
        engine.models.complete("Hi", output=dict[str, int])


def test_answer_that_breaks_off_fails_behind_its_pieces() -> None:
    with engine_with(Scripted("one ", ConnectionError("gone"))) as engine:
        pieces: list[str] = []
        with pytest.raises(sutazai.UnavailableError, match="gone"):
            pieces.extend(engine.models.stream("Hi"))
        assert pieces in ([], ["one "])


def test_unsupported_constraint_is_refused_before_the_backend_is_asked() -> None:
    backend = Scripted("yes")
    with engine_with(backend) as engine, pytest.raises(sutazai.UnsupportedError):
        engine.models.complete("Hi", grammar='start: "yes"')
    assert backend.requests == []


class Watched(sutazai.ModelBackend):
    """Writes for ever, and knows when its answer is closed."""

    name = "watched"

    def __init__(self) -> None:
        self.written = 0
        self.closed = threading.Event()

    def models(self) -> list[sutazai.ModelInfo]:
        return [sutazai.ModelInfo("endless")]

    def generate(self, request: sutazai.ModelRequest) -> Iterator[str | sutazai.Usage]:
        try:
            while True:
                self.written += 1
                yield "word "
        finally:
            self.closed.set()


def test_answer_is_closed_when_nobody_reads_it_any_more() -> None:
    backend = Watched()
    with engine_with(backend) as engine:
        with engine.models.stream("Go on.") as answer:
            assert next(answer) == "word "
        assert backend.closed.wait(5)


def test_time_limit_ends_an_answer() -> None:
    backend = Watched()
    with engine_with(backend) as engine:
        with pytest.raises(sutazai.TimedOutError):
            engine.models.complete("Go on.", timeout=0.2)
        assert backend.closed.wait(5)


def test_coroutine_is_cancelled_when_nobody_waits() -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        class Stuck(AsyncShout):
            async def generate(self, request: sutazai.ModelRequest) -> AsyncIterator[str | sutazai.Usage]:
                yield "begun"
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

        async with sutazai.AsyncEngine(":memory:", models=[Stuck()], environment=False) as engine:
            async with engine.models.stream("Go on.") as answer:
                assert await answer.__anext__() == "begun"
            await asyncio.wait_for(cancelled.wait(), 5)

    asyncio.run(main())


def test_engine_closes_while_a_backend_writes() -> None:
    backend = Watched()
    with engine_with(backend) as engine:
        answer = engine.models.stream("Go on.")
        next(answer)
    answer.close()
    assert backend.closed.wait(5)


def test_coroutine_is_cancelled_when_its_engine_closes() -> None:
    class Endless(AsyncShout):
        def __init__(self) -> None:
            self.closed = threading.Event()

        async def generate(self, request: sutazai.ModelRequest) -> AsyncIterator[str | sutazai.Usage]:
            try:
                while True:
                    yield "word "
            finally:
                self.closed.set()

    backend = Endless()
    with engine_with(backend) as engine:
        answer = engine.models.stream("Go on.")
        next(answer)
    assert backend.closed.wait(5)


def test_agents_and_models_do_not_take_each_others_threads() -> None:
    with engine_with(Shout(), agents=[ask], workers=32) as engine:
        tasks = engine.submit_all(ask.task(str(number)) for number in range(100))
        assert len(engine.tasks.wait_all(tasks, timeout=30)) == 100
        assert {task.result() for task in tasks[:3]} == {"0 0 0 ", "1 1 1 ", "2 2 2 "}


class Vectors(sutazai.ModelBackend):
    """Only makes embeddings."""

    name = "vectors"

    def models(self) -> list[sutazai.ModelInfo]:
        return [sutazai.ModelInfo("letters")]

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        if "bad" in texts:
            return [[1.0]]
        return [vector(text) for text in texts]


def test_embedder_and_a_model_that_writes() -> None:
    check_model_backend(Vectors)
    with engine_with(Vectors(), Shout()) as engine:
        assert engine.models.embed(["tea"], model="letters").backend == "vectors"
        answer = engine.models.complete("a", max_tokens=1)
        assert (answer.text, answer.usage.degraded) == ("A ", None)
        assert [(model.name, model.purpose) for model in engine.models.list()][0] == ("letters", "embed")


def test_embeddings_of_another_number_than_the_texts_are_refused() -> None:
    with engine_with(Vectors()) as engine, pytest.raises(sutazai.InternalError, match="expected 2 vectors, got 1"):
        engine.models.embed(["bad", "text"])


def test_invalid_backend_is_refused_when_the_engine_opens() -> None:
    class Nameless(Shout):
        name = ""

    class Odd(Shout):
        constraints: Any = frozenset({"regex"})

    for backend, expected in [(Nameless(), "Nameless.name"), (Odd(), "json_schema and grammar, got regex")]:
        with pytest.raises(sutazai.InvalidInputError, match=expected):
            engine_with(backend).open()


EXIT = """
import sys, threading, time
import sutazai

begun = threading.Event()

class Stuck(sutazai.ModelBackend):
    name = "stuck"

    def models(self):
        return [sutazai.ModelInfo("stuck")]

    def generate(self, request):
        begun.set()
        while True:
            time.sleep(0.01 if sys.argv[1] == "writes" else 3600)
            yield "word "

engine = sutazai.Engine(":memory:", models=[Stuck()], environment=False).open()
threading.Thread(target=lambda: engine.models.complete("Go on."), daemon=True).start()
assert begun.wait(10)
if sys.argv[1] == "closes":
    engine.close()
"""


@pytest.mark.parametrize("how", ["writes", "sleeps", "closes"])
def test_process_ends_while_a_backend_runs(how: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(EXIT, "utf-8")
    command = [sys.executable, "-W", "ignore", "program.py", how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
