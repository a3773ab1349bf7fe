"""Requests that programs make of an engine, for themselves or for one of their users."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar, overload

from .._bridge import AsyncTransport
from .._otel import current_traceparent
from ..agents import NewTask
from ..errors import ClosedError
from ..types import AgentInfo, Analysis, Health, JsonIn, Seconds
from .chat import AsyncChat
from .documents import AsyncDocuments
from .machine import AsyncMetrics, AsyncSchedules
from .models import AsyncModels
from .tasks import AsyncTask, AsyncTasks

R = TypeVar("R")


class AsyncApi:
    """Requests of an engine: of the program itself, or of the user that `as_user` names."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.tasks = AsyncTasks(transport)
        self.metrics = AsyncMetrics(transport)
        self.schedules = AsyncSchedules(transport)
        self.models = AsyncModels(transport)
        self.documents = AsyncDocuments(transport)
        self.chat = AsyncChat(transport)

    @overload
    async def submit(self, task: NewTask[R], /) -> AsyncTask[R]: ...
    @overload
    async def submit(
        self,
        task: str,
        payload: JsonIn = ...,
        /,
        *,
        title: str = ...,
        description: str = ...,
        priority: int | None = ...,
        timeout: Seconds | None = ...,
        max_attempts: int | None = ...,
        run_at: datetime | None = ...,
        idempotency_key: str | None = ...,
        unique_key: str | None = ...,
    ) -> AsyncTask[Any]: ...
    async def submit(self, task: Any, payload: Any = None, /, **options: Any) -> AsyncTask[Any]:
        """Submits a task, or a payload for the agent of this name; it is durable when this returns."""
        if isinstance(task, str):
            task = NewTask(agent=task, payload={} if payload is None else payload, **options)
        elif payload is not None or options:
            raise TypeError("a task has its payload and options already; use `task.but(...)` to change them")
        (handle,) = await self.submit_all([task])
        return handle

    async def submit_all(self, tasks: Iterable[NewTask[R]], /) -> list[AsyncTask[R]]:
        """Submits tasks, all or none of them."""
        new = list(tasks)
        body = {"tasks": [task.to_dict() for task in new], "traceparent": current_traceparent()}
        ids = json.loads(await self._transport.call("submit", body))
        return [AsyncTask(self._transport, id, task._decode) for id, task in zip(ids, new)]

    async def run(self, task: NewTask[R], /, *, timeout: Seconds | None = None) -> R:
        """Submits a task and waits for its result."""
        return await (await self.submit(task)).result(timeout)

    async def analyze(self, *, use_model: bool = True) -> Analysis:
        """Analyzes this machine in a task of the agent `hardware-optimizer`."""
        task: NewTask[Any] = NewTask(agent="hardware-optimizer", payload={"use_model": use_model})
        return Analysis.from_dict(await self.run(task))

    async def agents(self) -> list[AgentInfo]:
        """Lists the agents of this engine, built-in ones included."""
        return [AgentInfo.from_dict(agent) for agent in json.loads(await self._transport.call("agents", {}))]

    async def health(self) -> Health:
        """Checks that the database can be reached and that no thread of an agent is lost."""
        data = json.loads(await self._transport.call("health", {}))
        opened = self._transport.opened
        if opened is None:
            raise ClosedError("this engine was closed")
        lost = opened.runner.lost_threads
        if lost:
            data["checks"]["threads"] = f"{lost} lost to agents that do not stop"
            if data["status"] == "healthy":
                data["status"] = "degraded"
        return Health.from_dict(data)
