"""Engine in this process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from typing_extensions import Self

from .._bridge import AsyncTransport, Opener, are_models_forbidden, options_json
from .._ports import Ports
from .._runner import Runner
from .._signals import AsyncStopSignals
from .._sutazai import Core
from .._sync.context import Context
from ..agents import Agent
from ..backends import AsyncMetricSource, AsyncModelBackend, MetricSource, ModelBackend
from ..types import Seconds, seconds_of
from .api import AsyncApi
from .context import AsyncContext
from .serving import AsyncServing


def default_workers() -> int:
    """Returns the number of tasks that run at once by default: agents mostly wait, so four for each processor."""
    return min(32, 4 * (os.cpu_count() or 1))


class AsyncEngine(AsyncApi):
    """An engine in this process: stores tasks in a database and runs those of its agents.

    It starts and opens nothing before `open`, or before it is entered with `async with`, so it can be created when a
    module is imported. `database` is the path of an SQLite file, an address such as `postgres://user@host/name`, or
    `:memory:` for tasks that end with the engine; by default the setting DATABASE_URL, or a file in the user's data
    folder. `models` are GGUF files, backends such as `ollama=http://127.0.0.1:11434`, or own backends, in the order of
    preference; by default those of the setting MODEL_BACKENDS. If the first is a file or an own backend, its first model is
    the default one, unless `default_model` names another. `metric_sources` are own sources of measurements.
    `settings` has values for the settings of the binary, which go over those of the environment. Records of the engine go
    to the loggers `sutazai.engine`, `.store`, `.models` and `.http`, unless `logging` is false.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        agents: Iterable[Agent[..., Any]] = (),
        models: Iterable[str | os.PathLike[str] | ModelBackend | AsyncModelBackend] = (),
        default_model: str | None = None,
        metric_sources: Iterable[MetricSource | AsyncMetricSource] = (),
        workers: int | None = None,
        lease: Seconds | None = None,
        shutdown_grace: Seconds | None = None,
        settings: Mapping[str, str] | None = None,
        environment: bool = True,
        logging: bool = True,
    ) -> None:
        self._database = _address(database)
        self._agents = tuple(agents)
        self._workers = default_workers() if workers is None else workers
        self._lease = None if lease is None else seconds_of(lease)
        self._grace = None if shutdown_grace is None else seconds_of(shutdown_grace)
        self._settings = dict(settings or {})
        self._sources = tuple(metric_sources)
        listed = list(models)
        self._backends = [(n, m) for n, m in enumerate(listed) if isinstance(m, (ModelBackend, AsyncModelBackend))]
        addresses = [_address_of(m) for m in listed if not isinstance(m, (ModelBackend, AsyncModelBackend))]
        if listed:
            self._settings["MODEL_BACKENDS"] = ",".join(addresses)
        self._first_model_is_default = False
        if listed and default_model is None:
            if isinstance(listed[0], (ModelBackend, AsyncModelBackend)):
                self._first_model_is_default = True
            elif addresses[0].startswith("llama-cpp="):
                # The name of the only model of this backend.
                default_model = os.path.splitext(os.path.basename(addresses[0]))[0]
        if default_model is not None:
            self._settings["DEFAULT_MODEL"] = default_model
        self._environment = environment
        self._logging = logging
        self._opener: Opener = Core.open
        self._has_test_model = False
        super().__init__(AsyncTransport())

    async def open(self) -> Self:
        """Opens the database and starts the workers. A closed engine may be opened again."""
        if self._transport.opened is not None:
            # A forked process has a copy of an open engine, which it cannot use.
            await self._transport.call("health", {})
            raise RuntimeError("this engine is open already")
        settings, backends = self._settings, self._backends
        if are_models_forbidden() and not self._has_test_model:
            settings, backends = {**settings, "MODEL_BACKENDS": ""}, []
        ports = Ports(backends, self._sources)
        runner = Runner(self._agents, ports, max(1, self._workers))
        runner.has_test_model, runner.forwards_logs = self._has_test_model, self._logging
        runner.make_context, runner.make_async_context = Context, AsyncContext
        options = options_json(
            self._database,
            settings,
            self._environment,
            agents=[agent.declaration() for agent in self._agents],
            model_backends=ports.backend_declarations,
            first_model_is_default=self._first_model_is_default,
            metric_sources=ports.source_declarations,
            workers=self._workers,
            lease=self._lease,
            shutdown_grace=self._grace,
        )
        await self._transport.open(options, runner, self._opener)
        return self

    async def register(self, agent: Agent[..., Any], /) -> None:
        """Adds an agent, or replaces the one with its name: attempts that run go on with the old one, and pending tasks run
        with the new one. So the cell of a notebook that declares an agent may run again."""
        if self._transport.opened is not None:
            await self._transport.register(agent)
        self._agents = (*(known for known in self._agents if known.name != agent.name), agent)

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

    def as_user(self, user_id: str, /, *, admin: bool = False) -> AsyncApi:
        """Returns the requests of this user, a UUID that your program gives to one of its users.

        The user sees and changes only own tasks, schedules, documents and conversations; an admin, everybody's.
        """
        return AsyncApi(self._transport.as_user(user_id, admin))

    def serve(self, host: str = "127.0.0.1", port: int = 10010) -> AsyncServing:
        """Returns a block in which this engine serves the HTTP API; port 0 chooses a free one.

        The settings are those of the binary. Callers sign in unless ENABLE_AUTH is false, which is allowed on a loopback
        address only.
        """
        return AsyncServing(self._transport, host, port, secrets.token_hex(32))

    def __reduce__(self) -> Any:
        raise TypeError("an engine belongs to its process; create another with the same database there")


def _address(database: str | os.PathLike[str] | None) -> str | None:
    if database is None or database == ":memory:" or "://" in str(database):
        return None if database is None else str(database)
    return f"sqlite://{os.path.abspath(database)}"


def _address_of(model: str | os.PathLike[str]) -> str:
    text = os.fspath(model)
    return text if "=" in text and isinstance(model, str) else f"llama-cpp={os.path.abspath(text)}"
