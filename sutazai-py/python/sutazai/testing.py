"""Tools for tests of agents."""

from __future__ import annotations

import json
from typing import Any

from . import _sutazai
from ._async.engine import AsyncEngine
from ._bridge import native
from ._runner import failure_of
from ._sync.engine import Engine
from .agents import Agent, NewTask
from .errors import Error, InternalError
from .model_types import ModelRequest

__all__ = ["ScriptedModel", "async_engine", "check_agent", "engine"]


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


def engine(*agents: Agent[..., Any], model: ScriptedModel | None = None) -> Engine:
    """Creates an engine in memory that reads no settings of the environment and has no other model than this one."""
    made = Engine(":memory:", agents=agents, environment=False)
    if model is not None:
        made._opener = model._native.open
    return made


def async_engine(*agents: Agent[..., Any], model: ScriptedModel | None = None) -> AsyncEngine:
    """Creates an engine as `engine` does, for an event loop."""
    made = AsyncEngine(":memory:", agents=agents, environment=False)
    if model is not None:
        made._opener = model._native.open
    return made


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
