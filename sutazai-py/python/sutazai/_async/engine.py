"""Engine in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar, overload

from typing_extensions import Self

from .._bridge import AsyncTransport, Opener, options_json
from .._runner import Runner
from .._signals import AsyncStopSignals
from .._sutazai import Core
from .._sync.context import Context
from ..agents import Agent, NewTask
from ..errors import ClosedError
from ..types import AgentInfo, Analysis, Health, JsonIn, Seconds, seconds_of
from .chat import AsyncChat
from .context import AsyncContext
from .documents import AsyncDocuments
from .machine import AsyncMetrics, AsyncSchedules
from .models import AsyncModels
from .tasks import AsyncTask, AsyncTasks

R = TypeVar("R")


def default_workers() -> int:
    """Returns the number of tasks that run at once by default: agents mostly wait, so four for each processor."""
    return min(32, 4 * (os.cpu_count() or 1))


class AsyncEngine:
    """An engine in this process: stores tasks in a database and runs those of its agents.

    It starts and opens nothing before `open`, or before it is entered with `async with`, so it can be created when a
    module is imported. `database` is the path of an SQLite file, an address such as `postgres://user@host/name`, or
    `:memory:` for tasks that end with the engine; by default the setting DATABASE_URL, or a file in the user's data
    folder. `models` are GGUF files, or backends such as `ollama=http://127.0.0.1:11434`, in the order of preference; by
    default those of the setting MODEL_BACKENDS. The first file is the default model, unless `default_model` names another.
    `settings` has values for the settings of the binary, which go over those of the environment.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        agents: Iterable[Agent[..., Any]] = (),
        models: Iterable[str | os.PathLike[str]] = (),
        default_model: str | None = None,
        workers: int | None = None,
        lease: Seconds | None = None,
        shutdown_grace: Seconds | None = None,
        settings: Mapping[str, str] | None = None,
        environment: bool = True,
    ) -> None:
        self._database = _address(database)
        self._agents = tuple(agents)
        self._workers = default_workers() if workers is None else workers
        self._lease = None if lease is None else seconds_of(lease)
        self._grace = None if shutdown_grace is None else seconds_of(shutdown_grace)
        self._settings = dict(settings or {})
        backends = [_backend(model) for model in models]
        if backends:
            self._settings["MODEL_BACKENDS"] = ",".join(backends)
            if default_model is None and backends[0].startswith("llama-cpp="):
                # The name of the only model of this backend.
                default_model = os.path.splitext(os.path.basename(backends[0]))[0]
        if default_model is not None:
            self._settings["DEFAULT_MODEL"] = default_model
        self._environment = environment
        self._opener: Opener = Core.open
        self._transport = AsyncTransport()
        self.tasks = AsyncTasks(self._transport)
        self.metrics = AsyncMetrics(self._transport)
        self.schedules = AsyncSchedules(self._transport)
        self.models = AsyncModels(self._transport)
        self.documents = AsyncDocuments(self._transport)
        self.chat = AsyncChat(self._transport)

    async def open(self) -> Self:
        """Opens the database and starts the workers. A closed engine may be opened again."""
        if self._transport.opened is not None:
            # A forked process has a copy of an open engine, which it cannot use.
            await self._transport.call("health", {})
            raise RuntimeError("this engine is open already")
        runner = Runner(self._agents, max(1, self._workers))
        runner.make_context, runner.make_async_context = Context, AsyncContext
        options = options_json(
            self._database,
            self._settings,
            self._environment,
            agents=[agent.declaration() for agent in self._agents],
            workers=self._workers,
            lease=self._lease,
            shutdown_grace=self._grace,
        )
        await self._transport.open(options, runner, self._opener)
        return self

    async def close(self, grace: Seconds | None = None) -> None:
        """Closes the engine: running agents get `grace` seconds to end, then their tasks are released."""
        await self._transport.close(None if grace is None else seconds_of(grace))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run_forever(self) -> None:
        """Runs tasks until SIGTERM or Ctrl-C, then closes the engine. It opens the engine if it is not open. A second
        signal ends the process at once; the tasks that run then are run again elsewhere."""
        async with AsyncStopSignals() as signals:
            if self._transport.opened is None:
                await self.open()
            await signals.wait()
        await self.close()

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
        priority: int = ...,
        timeout: Seconds = ...,
        max_attempts: int = ...,
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
        ids = json.loads(await self._transport.call("submit", {"tasks": [task.to_dict() for task in new]}))
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

    def __reduce__(self) -> Any:
        raise TypeError("an engine belongs to its process; create another with the same database there")


def _address(database: str | os.PathLike[str] | None) -> str | None:
    if database is None or database == ":memory:" or "://" in str(database):
        return None if database is None else str(database)
    return f"sqlite://{os.path.abspath(database)}"


def _backend(model: str | os.PathLike[str]) -> str:
    text = os.fspath(model)
    return text if "=" in text and isinstance(model, str) else f"llama-cpp={os.path.abspath(text)}"
