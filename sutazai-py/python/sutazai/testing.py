"""Tools for tests: scripted models, a clock that tests advance, recorded contexts, and conformance suites."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from . import _bridge, _sutazai
from ._async.engine import AsyncEngine
from ._bridge import EXIT_TIMEOUT, native, start_loop
from ._ports import OwnBackend, OwnSource, Ports
from ._recorded import AsyncRecordedContext, Recorded, RecordedCall, RecordedContext
from ._runner import ContextPair, Runner, WaitForChildren, current_context, failure_of
from ._sync.engine import Engine
from .agents import Agent, NewTask
from .errors import Error, InternalError
from .model_types import ModelRequest
from .types import JsonIn, Seconds, TaskInfo, seconds_of, text_of, time_of

__all__ = [
    "Clock",
    "Recorded",
    "ScriptedModel",
    "async_engine",
    "check_agent",
    "check_metric_source",
    "check_model_backend",
    "context",
    "engine",
    "no_models",
]

# As many as the suite of model backends has checks; each takes the next backend.
BACKENDS = 12


class ScriptedModel:
    """A model that returns these answers in order. An error is raised instead of an answer; after the last answer,
    requests raise `UnavailableError`. Everything else is as with a real model: an answer that does not fit a schema is an
    error, and `max_tokens` counts words."""

    def __init__(self, *answers: str | Error) -> None:
        script = [answer if isinstance(answer, str) else failure_of(answer, False) for answer in answers]
        self._native = _sutazai.ScriptedModel(json.dumps(script).encode())

    @property
    def requests(self) -> list[ModelRequest]:
        """The requests so far."""
        return [ModelRequest.from_dict(request) for request in json.loads(self._native.requests())]


class Clock:
    """A clock that stands still until the test advances it. An engine with it takes the times of tasks, schedules, retries,
    time limits and `sleep` of its agents from it. While the engine closes, the clock goes on by itself."""

    def __init__(self, start: datetime | None = None) -> None:
        begin = start if start is not None else datetime(2026, 1, 1, tzinfo=timezone.utc)
        self._native = _sutazai.ManualClock(text_of(begin))

    @property
    def now(self) -> datetime:
        """The time of the clock."""
        return time_of(self._native.now())

    def advance(self, by: Seconds) -> None:
        """Advances the clock at once: whatever is due by then happens now."""
        self._native.advance(seconds_of(by))

    def next(self) -> float | None:
        """Advances the clock to the next time that anything waits for, and returns by how many seconds; `None` if nothing
        waits. The engine itself waits as well, for instance to look for expired leases."""
        return self._native.advance_to_next()


def engine(*agents: Agent[..., Any], model: ScriptedModel | None = None, clock: Clock | None = None) -> Engine:
    """Creates an engine in memory that reads no settings of the environment and has no other model than this one. Its
    time is that of `clock`, by default that of the machine."""
    made = Engine(":memory:", agents=agents, environment=False, shutdown_grace=_grace(clock))
    _prepare(made, model, clock)
    return made


def async_engine(
    *agents: Agent[..., Any], model: ScriptedModel | None = None, clock: Clock | None = None
) -> AsyncEngine:
    """Creates an engine as `engine` does, for an event loop."""
    made = AsyncEngine(":memory:", agents=agents, environment=False, shutdown_grace=_grace(clock))
    _prepare(made, model, clock)
    return made


def _grace(clock: Clock | None) -> float | None:
    # An agent that sleeps until a time of the clock would be waited for in vain.
    return None if clock is None else 1.0


def _prepare(made: Engine | AsyncEngine, model: ScriptedModel | None, clock: Clock | None) -> None:
    native_model = None if model is None else model._native
    opener = _sutazai.TestOpener(native_model, None if clock is None else clock._native)
    made._opener, made._has_test_model = opener.open, model is not None


@contextmanager
def context(
    *,
    model: ScriptedModel | None = None,
    clock: Clock | None = None,
    attempt: int = 1,
    state: JsonIn = None,
    children: Sequence[TaskInfo] = (),
) -> Generator[Recorded, None, None]:
    """Block in which the function of an agent can be called as it is: `current()` and `current_async()` return a context
    that records what the agent reports. `sleep` returns at once and advances `clock`. An agent that calls `wait_for` leaves
    the block."""
    ticking = clock if clock is not None else Clock()
    seen = Recorded(ticking)
    call = RecordedCall(seen, ticking, attempt, state, children)
    hidden = engine(model=model).open() if model is not None else None
    opened = hidden._transport.opened if hidden is not None else None
    parts = (seen, call, ticking, opened)
    token = current_context.set(ContextPair(RecordedContext(*parts), AsyncRecordedContext(*parts)))
    try:
        yield seen
    except WaitForChildren as e:
        seen.waits, seen.state = [*e.children], e.request["state"]
    finally:
        current_context.reset(token)
        if hidden is not None:
            hidden.close()


@contextmanager
def no_models() -> Generator[None, None, None]:
    """Block in which no real model can be asked: only engines with a `ScriptedModel` have one. In others, requests raise
    `RuntimeError`, and built-in agents find no model if the engine was opened in the block."""
    with _bridge.forbidden_models():
        yield


def check_agent(agent: Agent[..., Any], task: NewTask[Any]) -> None:
    """Runs the conformance suite of agents over this agent with the payload of this task.

    Raises `AssertionError` saying which part of the contract does not hold, such as an agent that does not end within
    five seconds after its cancellation.
    """
    with Engine(":memory:", agents=[agent], workers=0) as engine:
        opened = engine._transport.opened
        assert opened is not None
        runner = opened.runner
        declaration, payload = json.dumps(agent.declaration()).encode(), json.dumps(task.payload).encode()
        queues = (runner.threads, runner.watcher, runner.loop_queue)
        try:
            native(_sutazai.check_agent, declaration, payload, *queues)
        except InternalError as e:
            raise AssertionError(e.message) from None


def check_model_backend(make: Callable[[], OwnBackend]) -> None:
    """Runs the conformance suites of model backends over the backends that `make` returns: that of texts and that of
    embeddings, as far as the class has them. Raises `AssertionError` saying which part of the contract does not hold."""
    ports = Ports(((number, make()) for number in range(BACKENDS)), ())
    _check(_sutazai.check_model_backend, ports, ports.backend_declarations)


def check_metric_source(make: Callable[[], OwnSource]) -> None:
    """Runs the conformance suite of metric sources over the source that `make` returns. Raises `AssertionError` saying which
    part of the contract does not hold."""
    ports = Ports((), [make()])
    _check(_sutazai.check_metric_source, ports, ports.source_declarations[0])


def _check(suite: Callable[..., None], ports: Ports, declaration: Any) -> None:
    runner = Runner((), ports, 1)
    loop = start_loop(runner) if ports.has_async else None
    ports.start()
    try:
        loop_queue = None if loop is None else runner.loop_queue
        native(suite, json.dumps(declaration).encode(), ports.threads, ports.listings, loop_queue)
    except InternalError as e:
        raise AssertionError(e.message) from None
    finally:
        runner.close(EXIT_TIMEOUT)
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
