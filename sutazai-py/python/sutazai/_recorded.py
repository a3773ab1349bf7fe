"""Contexts in which tests call the function of an agent without an engine: they record what it reports."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from ._async.context import AsyncContext
from ._async.models import AsyncModel
from ._async.tasks import AsyncTask
from ._bridge import AsyncTransport, Opened, Transport
from ._sync.context import Context
from ._sync.models import Model
from ._sync.tasks import Task
from .agents import NewTask
from .errors import UnavailableError
from .types import Seconds, TaskInfo, seconds_of, text_of

T = TypeVar("T")


class Recorded:
    """What an agent did in its context."""

    def __init__(self, clock: Any) -> None:
        self.progress: list[tuple[float, str]] = []
        """Completed shares and messages, in order."""
        self.text = ""
        """All pieces of text."""
        self.submitted: list[NewTask[Any]] = []
        """Tasks that the agent submitted."""
        self.waits: list[NewTask[Any]] = []
        """Tasks that the agent waits for; it left its function at `wait_for`."""
        self.state: Any = None
        """What the agent gave to `wait_for`."""
        self.is_cancelled = False
        self._clock = clock

    def cancel(self) -> None:
        """Asks the agent to stop, as the cancellation of its task does."""
        self.is_cancelled = True


class RecordedCall:
    """Run of an agent, in place of one of an engine."""

    number = 0
    agent = "recorded"

    def __init__(self, seen: Recorded, clock: Any, attempt: int, state: Any, children: Sequence[TaskInfo]) -> None:
        now = text_of(clock.now)
        self._seen, self._clock = seen, clock
        self.task_id = str(uuid.uuid4())
        self.children = json.dumps([child.to_dict() for child in children]).encode()
        task: dict[str, Any] = {
            "id": self.task_id,
            "agent": self.agent,
            "status": "processing",
            "payload": {},
            "result": None,
            "error": None,
            "title": "",
            "description": "",
            "priority": 5,
            "timeout_seconds": 300,
            "max_attempts": 3,
            "attempt": attempt,
            "failures": attempt - 1,
            "run_at": now,
            "created_at": now,
            "updated_at": now,
            "started_at": now,
            "finished_at": None,
            "owner": None,
            "state": state,
        }
        self.task = json.dumps(task).encode()

    @property
    def is_cancelled(self) -> bool:
        """Whether the agent is to stop."""
        return self._seen.is_cancelled

    def now(self) -> str:
        """Returns the time of the clock."""
        moment: datetime = self._clock.now
        return text_of(moment)

    def progress(self, fraction: float, message: str) -> None:
        """Records progress."""
        self._seen.progress.append((fraction, message))

    def text(self, piece: str) -> None:
        """Records a piece of text."""
        self._seen.text += piece


def _refuse_model(opened: Opened | None) -> Opened:
    if opened is None:
        raise UnavailableError("this context has no model; expected context(model=ScriptedModel(...))")
    return opened


class RecordedContext(Context):
    """Context of a function."""

    def __init__(self, seen: Recorded, call: Any, clock: Any, engine: Opened | None) -> None:
        self.call = call
        self.is_shielded = False
        self.uses_model = True
        self._seen, self._clock, self._engine = seen, clock, engine
        self._transport = Transport()
        self._transport.opened = engine
        self._task = None

    @property
    def model(self) -> Model:
        """The model of the test."""
        _refuse_model(self._engine)
        return Model(self._transport)

    def sleep(self, seconds: Seconds) -> None:
        """Advances the clock and returns at once."""
        self.check()
        self._clock.advance(seconds_of(seconds))

    def submit(self, task: NewTask[T], /) -> Task[T]:
        """Records a task; nothing runs it."""
        self._seen.submitted.append(task)
        return Task(self._transport, str(uuid.uuid4()), task._decode)


class AsyncRecordedContext(AsyncContext):
    """Context of a coroutine."""

    def __init__(self, seen: Recorded, call: Any, clock: Any, engine: Opened | None) -> None:
        self.call = call
        self.is_shielded = False
        self.uses_model = True
        self._seen, self._clock, self._engine = seen, clock, engine
        self._transport = AsyncTransport()
        self._transport.opened = engine
        self._task = None

    @property
    def model(self) -> AsyncModel:
        """The model of the test."""
        _refuse_model(self._engine)
        return AsyncModel(self._transport)

    async def sleep(self, seconds: Seconds) -> None:
        """Advances the clock and returns at once."""
        self.check()
        self._clock.advance(seconds_of(seconds))

    async def submit(self, task: NewTask[T], /) -> AsyncTask[T]:
        """Records a task; nothing runs it."""
        self._seen.submitted.append(task)
        return AsyncTask(self._transport, str(uuid.uuid4()), task._decode)
