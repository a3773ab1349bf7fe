"""Context of a running agent: what it reports, and how it learns that it is to stop."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from .._bridge import AsyncTransport, Opened
from .._otel import current_traceparent
from .._runner import WaitForChildren
from .._sutazai import Call
from ..agents import NewTask
from ..errors import CancelledError
from ..types import JsonIn, Seconds, TaskInfo, seconds_of, time_of
from .models import AsyncModel
from .tasks import AsyncTask

T = TypeVar("T")


class AsyncContext:
    """Run of an agent."""

    def __init__(self, call: Call, opened: Opened) -> None:
        self.call = call
        self.opened = opened
        self.is_shielded = False
        self.uses_model = opened.runner.agents[call.agent].uses_model
        self._transport = AsyncTransport()
        self._transport.opened = opened
        self._task: dict[str, Any] | None = None

    def _data(self) -> dict[str, Any]:
        data = self._task
        if data is None:
            data = self._task = dict(json.loads(self.call.task))
        return data

    @property
    def task(self) -> TaskInfo:
        """The task that is run."""
        return TaskInfo.from_dict(self._data())

    @property
    def attempt(self) -> int:
        """Number of the attempt, 1 for the first."""
        return int(self._data()["attempt"])

    @property
    def state(self) -> Any:
        """What the agent gave to `wait_for` in its last run; `None` in the first."""
        return self._data()["state"]

    @property
    def children(self) -> Sequence[TaskInfo]:
        """The children for which the task waited last, in their order; empty in the first run."""
        return [TaskInfo.from_dict(child) for child in json.loads(self.call.children)]

    @property
    def model(self) -> AsyncModel:
        """The model of the engine, for an agent that was declared with `uses_model=True`."""
        if not self.uses_model:
            raise RuntimeError(f"expected @agent(uses_model=True) at {self.call.agent}, which uses a model")
        return AsyncModel(self._transport, self.call.number)

    @property
    def cancelled(self) -> bool:
        """Whether the agent is to stop: the task was cancelled, its time is over, or the engine closes."""
        return self.call.is_cancelled

    def check(self) -> None:
        """Raises `CancelledError` if the agent is to stop; to be called between pieces of work."""
        if self.call.is_cancelled:
            raise CancelledError("the task was asked to stop")

    def progress(self, fraction: float, message: str = "") -> None:
        """Reports the completed share, 0.0 to 1.0, and what the agent does. Never waits; raises as `check` does."""
        self.check()
        self.call.progress(fraction, message)

    def text(self, piece: str) -> None:
        """Reports a piece of text. Never waits; raises as `check` does."""
        self.check()
        self.call.text(piece)

    @contextmanager
    def shield(self) -> Generator[None, None, None]:
        """Holds off the exception that interrupts the thread of an agent that does not stop by itself."""
        self.is_shielded = True
        try:
            yield
        finally:
            self.is_shielded = False

    def now(self) -> datetime:
        """Returns the time of the engine's clock."""
        return time_of(self.call.now())

    async def sleep(self, seconds: Seconds) -> None:
        """Sleeps by the engine's clock; raises as `check` does when the agent is to stop."""
        self.check()
        await self._transport.sleep(self.call, seconds_of(seconds))
        self.check()

    async def submit(self, task: NewTask[T], /) -> AsyncTask[T]:
        """Submits a task that this one does not wait for, with the same owner."""
        owner = self._data()["owner"]
        body = {"tasks": [task.to_dict()], "owner": owner, "traceparent": current_traceparent()}
        (id,) = json.loads(await self._transport.call("submit", body))
        return AsyncTask(self._transport, id, task._decode)

    def wait_for(self, *children: NewTask[Any], state: JsonIn = None, any: bool = False) -> NoReturn:
        """Leaves the agent, which runs again when these tasks have ended, or any of them, with `children` and this
        `state`. Nothing is occupied meanwhile."""
        raise WaitForChildren(children, state, any)
