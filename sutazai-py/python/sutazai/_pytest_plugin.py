"""Fixtures for pytest: factories of engines that are closed after the test, and a clock that the test advances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from . import Agent, Engine
    from .testing import Clock, ScriptedModel


class EngineFactory(Protocol):
    """Opens an engine in memory with these agents, this model and this clock."""

    def __call__(
        self, *agents: Agent[..., Any], model: ScriptedModel | None = None, clock: Clock | None = None
    ) -> Engine: ...


@pytest.fixture
def sutazai_engine() -> Iterator[EngineFactory]:
    """Factory of open engines in memory: `sutazai_engine(agent, ..., model=ScriptedModel(...))`."""
    # Imported here, because pytest loads this module in every project that has the package.
    from .testing import engine

    with ExitStack() as stack:

        def factory(
            *agents: Agent[..., Any], model: ScriptedModel | None = None, clock: Clock | None = None
        ) -> Engine:
            return stack.enter_context(engine(*agents, model=model, clock=clock))

        yield factory


@pytest.fixture
def sutazai_clock() -> Clock:
    """Clock for `sutazai_engine(agent, clock=sutazai_clock)`, which stands still until the test advances it."""
    from .testing import Clock

    return Clock()
