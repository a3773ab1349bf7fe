"""The two ways to make a request of the native engine: waiting for it on this thread, or in this event loop."""

from __future__ import annotations

import asyncio
import atexit
import copy
import itertools
import json
import os
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from typing_extensions import TypeAlias

from . import _log, _sutazai
from ._runner import MAX_DRAINED, ContextPair, Runner, current_context
from ._sutazai import Call, Core, Failed, Queue, Stream
from .agents import Agent
from .errors import ClosedError, TaskFailedError, from_json

T = TypeVar("T")
# Opens the native part of an engine from its options and the queues of its agents and own objects.
Opener: TypeAlias = Callable[[bytes, Queue, Queue, Queue, Queue, Queue], Core]

# Requests that wait for a task, which an agent of the same engine could wait for in vain.
WAITS = frozenset({"tasks.wait", "tasks.result", "watches.next"})
# Requests that change nothing: they are dropped when their caller no longer waits.
READS = WAITS | {
    "tasks.get",
    "tasks.list",
    "tasks.events",
    "tasks.messages",
    "tasks.statistics",
    "tasks.backlog",
    "agents",
    "health",
    "metrics.snapshot",
    "metrics.history",
    "metrics.series",
    "schedules.list",
    "schedules.get",
    "models.list",
    "models.complete",
    "models.embed",
    "documents.list",
    "documents.get",
    "documents.chunks",
    "documents.search",
    "chat.list",
    "chat.get",
    "chat.messages",
}
# Requests that ask a model.
MODEL_REQUESTS = frozenset({"models.complete", "models.stream", "models.embed", "chat.say"})
# Seconds for which the end of the process waits for threads, and for calls to devices that may never return.
EXIT_TIMEOUT = 2.0

_open_engines: weakref.WeakSet[Opened] = weakref.WeakSet()
_hooks = threading.Lock()
_has_hooks = False
_forbidden_models = 0


@contextmanager
def forbidden_models() -> Generator[None, None, None]:
    """Block in which only engines of tests may ask a model."""
    global _forbidden_models
    _forbidden_models += 1
    try:
        yield
    finally:
        _forbidden_models -= 1


def are_models_forbidden() -> bool:
    """Returns whether only engines of tests may ask a model."""
    return _forbidden_models > 0


def model_program() -> dict[str, Any]:
    """Returns the command that runs a model: this interpreter with the module for it, and the module path of this
    process, without which a package that was added to `sys.path` would not be found."""
    environment = [("PYTHONPATH", ":".join(path for path in sys.path if path))]
    return {"program": sys.executable, "arguments": ["-m", "sutazai._model_process"], "environment": environment}


def options_json(
    database: str | None, settings: Mapping[str, str], reads_environment: bool, **more: Any
) -> bytes:
    """Writes the options of an engine or an analysis."""
    options = {
        "database": database,
        "settings": dict(settings),
        "reads_environment": reads_environment,
        "model_program": model_program(),
    }
    return json.dumps({**options, **more}).encode()


def body_json(body: Any, content: bytes | None = None) -> bytes:
    """Writes the body of a request, and a file behind its line."""
    line = json.dumps(body).encode()
    return line if content is None else line + b"\n" + content


def native(function: Callable[..., T], *args: Any) -> T:
    """Calls a native function and raises the exception of its failure."""
    try:
        return function(*args)
    except Failed as e:
        failure = from_json(e.args[0])
    raise failure


class Opened:
    """An open engine: its native part and the threads of its agents."""

    def __init__(self, options: bytes, runner: Runner, opener: Opener) -> None:
        self.runner = runner
        self.own_loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False
        runner.opened = self
        queues = (runner.threads, runner.watcher, runner.ports.threads, runner.ports.listings)
        if runner.forwards_logs:
            _log.forwarder.begin()
        try:
            self.core: Core = native(opener, options, *queues, runner.loop_queue)
        except BaseException:
            self._end_logs()
            raise
        runner.start()
        self.opened_at = "".join(traceback.format_list(traceback.extract_stack(limit=8)[:-3])[-1:])
        _open_engines.add(self)
        _add_hooks()

    def _end_logs(self) -> None:
        if self.runner.forwards_logs:
            _log.forwarder.end(EXIT_TIMEOUT)

    def failure(self, json: bytes) -> Exception:
        """Returns the exception of a failed request, with that of the agent as its cause if it ran here."""
        error = from_json(json)
        if isinstance(error, TaskFailedError):
            error.__cause__ = self.runner.cause_of(error.task)
        return error

    def check(self, verb: str) -> None:
        """Refuses a request that would wait for itself, or one to a model that a test forbids."""
        if _forbidden_models and not self.runner.has_test_model and verb in MODEL_REQUESTS:
            raise RuntimeError(f"no_models() forbids the request {verb}; expected an engine with a ScriptedModel")
        context = current_context.get(None)
        if context is None or verb not in WAITS or isinstance(context, ContextPair):
            return
        if context.opened.runner is self.runner:
            raise RuntimeError(
                "an agent that waits here for a task of its own engine may wait for itself; use current().wait_for()"
            )

    def as_user(self, user_id: str, is_admin: bool) -> Opened:
        """Returns the same engine for the requests of this user."""
        made = copy.copy(self)
        made.core = self.core.as_user(user_id, is_admin)
        return made

    def end(self) -> None:
        """Ends the threads after the engine was closed."""
        self.is_closed = True
        _open_engines.discard(self)
        self.runner.close(EXIT_TIMEOUT)
        self._end_logs()
        if self.own_loop is not None:
            self.own_loop.call_soon_threadsafe(self.own_loop.stop)


def _add_hooks() -> None:
    global _has_hooks
    with _hooks:
        if not _has_hooks:
            os.register_at_fork(after_in_child=_in_child)
            atexit.register(_at_exit)
            _has_hooks = True


def _in_child() -> None:
    _sutazai.forked()
    _log.in_child()
    _open_engines.clear()


def _at_exit() -> None:
    for opened in list(_open_engines):
        warnings.warn(f"engine not closed before the end of the process, opened at\n{opened.opened_at}", ResourceWarning)
        try:
            opened.core.close(None)
        except Failed:
            # The process ends: the leases of the engine expire.
            pass
        opened.end()
    _sutazai.end_runtime(EXIT_TIMEOUT)


class Channel:
    """Announces the ends of requests to one event loop. It has no reference to the loop, which keeps it alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue = Queue()
        self.tokens = itertools.count(1)
        self.futures: dict[int, asyncio.Future[tuple[bool, bytes]]] = {}
        loop.add_reader(self.queue.fileno(), self._drain)

    def _drain(self) -> None:
        for item in self.queue.drain(MAX_DRAINED):
            assert isinstance(item, tuple)
            token, is_good, json = item
            future = self.futures.pop(token, None)
            if future is not None and not future.done():
                future.set_result((is_good, json))


_channels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = weakref.WeakKeyDictionary()


async def in_thread(function: Callable[[], T]) -> T:
    """Runs a function that blocks on a thread of its own: the executor of asyncio belongs to the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def announce(set_outcome: Callable[[], None]) -> None:
        if not future.done():
            set_outcome()

    def run() -> None:
        try:
            result = function()
        except BaseException as e:
            error = e
            loop.call_soon_threadsafe(announce, lambda: future.set_exception(error))
        else:
            loop.call_soon_threadsafe(announce, lambda: future.set_result(result))

    threading.Thread(target=run, name="sutazai-open", daemon=True).start()
    return await future


async def awaited(begin: Callable[[Queue, int], _sutazai.Pending]) -> None:
    """Begins native work and waits for its end in this event loop; work whose waiter is cancelled is dropped."""
    channel, token, future = AsyncTransport._register()
    pending = begin(channel.queue, token)
    try:
        is_good, failure = await future
    except asyncio.CancelledError:
        channel.futures.pop(token, None)
        pending.abort()
        raise
    if not is_good:
        raise from_json(failure)


class AsyncTransport:
    """Requests from event loops. Agents that are coroutines run on the loop in which the engine was opened."""

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    async def open(self, options: bytes, runner: Runner, opener: Opener) -> None:
        """Opens the engine."""
        self.loop = asyncio.get_running_loop()
        runner.attach(self.loop)
        try:
            self.opened = await in_thread(lambda: Opened(options, runner, opener))
        except BaseException:
            runner.detach(self.loop)
            runner.close(0)
            raise

    async def call(self, verb: str, body: Any, content: bytes | None = None) -> bytes:
        """Makes a request and waits for its answer. `content` is a file behind the body."""
        opened = self._now_opened()
        opened.check(verb)
        json_body = body_json(body, content)
        channel, token, future = self._register()
        pending = opened.core.begin(channel.queue, token, verb, json_body)
        return await self._answer(opened, channel, token, future, pending, verb in READS)

    def _now_opened(self) -> Opened:
        if self.opened is None:
            raise ClosedError("this engine is not open; use `async with` or `await engine.open()`")
        return self.opened

    async def register(self, agent: Agent[..., Any]) -> None:
        """Adds an agent to the open engine, or replaces the one with its name."""
        self._now_opened().runner.register(agent)
        await self.call("agents.register", agent.declaration())

    def stream(self, verb: str, body: Any) -> Stream:
        """Creates the stream of a request, which begins with the first read."""
        opened = self._now_opened()
        opened.check(verb)
        return opened.core.stream(verb, body_json(body))

    async def next(self, stream: Stream) -> bytes:
        """Waits for the next items of a stream; none after the last."""
        opened = self._now_opened()
        channel, token, future = self._register()
        pending = stream.begin_next(channel.queue, token)
        return await self._answer(opened, channel, token, future, pending, True)

    @staticmethod
    def _register() -> tuple[Channel, int, asyncio.Future[tuple[bool, bytes]]]:
        loop = asyncio.get_running_loop()
        channel = _channels.get(loop)
        if channel is None:
            channel = _channels[loop] = Channel(loop)
        token = next(channel.tokens)
        future = channel.futures[token] = loop.create_future()
        return channel, token, future

    @staticmethod
    async def _answer(
        opened: Opened,
        channel: Channel,
        token: int,
        future: asyncio.Future[tuple[bool, bytes]],
        pending: _sutazai.Pending,
        is_read: bool,
    ) -> bytes:
        try:
            is_good, json = await future
        except asyncio.CancelledError:
            channel.futures.pop(token, None)
            if is_read:
                pending.abort()
            raise
        if is_good:
            return json
        raise opened.failure(json)

    async def sleep(self, call: Call, seconds: float) -> None:
        """Sleeps by the clock of the engine, but not beyond the time at which the agent is to stop."""
        await awaited(lambda queue, token: call.begin_sleep(queue, token, seconds))

    def as_user(self, user_id: str, is_admin: bool) -> AsyncTransport:
        """Returns the requests of another user."""
        made = AsyncTransport()
        made.opened, made.loop = self._now_opened().as_user(user_id, is_admin), self.loop
        return made

    async def close(self, grace: float | None) -> None:
        """Closes the engine."""
        if self.opened is None or self.opened.is_closed:
            return
        opened = self.opened
        channel, token, future = self._register()
        pending = opened.core.begin_close(channel.queue, token, grace)
        try:
            await self._answer(opened, channel, token, future, pending, False)
        finally:
            self.opened = None
            if self.loop is not None:
                opened.runner.detach(self.loop)
            await in_thread(opened.end)


class Transport:
    """Requests from threads. Agents that are coroutines run on a loop in a thread of the engine."""

    _has_warned = False

    def __init__(self) -> None:
        self.opened: Opened | None = None

    def open(self, options: bytes, runner: Runner, opener: Opener) -> None:
        """Opens the engine."""
        loop = start_loop(runner) if runner.has_async else None
        try:
            self.opened = Opened(options, runner, opener)
        except BaseException:
            runner.close(0)
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
            raise
        self.opened.own_loop = loop

    def call(self, verb: str, body: Any, content: bytes | None = None) -> bytes:
        """Makes a request and waits for its answer. `content` is a file behind the body."""
        opened = self._now_opened()
        opened.check(verb)
        self._check_loop(opened)
        try:
            return opened.core.call(verb, body_json(body, content))
        except Failed as e:
            failure = opened.failure(e.args[0])
        raise failure

    def _now_opened(self) -> Opened:
        if self.opened is None:
            raise ClosedError("this engine is not open; use `with` or `engine.open()`")
        return self.opened

    def register(self, agent: Agent[..., Any]) -> None:
        """Adds an agent to the open engine, or replaces the one with its name."""
        opened = self._now_opened()
        if agent.is_async and opened.own_loop is None:
            opened.own_loop = start_loop(opened.runner)
        opened.runner.register(agent)
        self.call("agents.register", agent.declaration())

    def stream(self, verb: str, body: Any) -> Stream:
        """Creates the stream of a request, which begins with the first read."""
        opened = self._now_opened()
        opened.check(verb)
        return opened.core.stream(verb, body_json(body))

    def next(self, stream: Stream) -> bytes:
        """Waits for the next items of a stream; none after the last."""
        opened = self._now_opened()
        self._check_loop(opened)
        try:
            return stream.next()
        except Failed as e:
            failure = opened.failure(e.args[0])
        raise failure

    @classmethod
    def _check_loop(cls, opened: Opened) -> None:
        loop = asyncio._get_running_loop()
        if loop is None:
            return
        if loop is opened.own_loop:
            raise RuntimeError("this would block the event loop of the agents; use `current_async()` or AsyncEngine")
        if not cls._has_warned and "IPython" not in sys.modules:
            Transport._has_warned = True
            warnings.warn("Engine blocks the running event loop; use AsyncEngine", RuntimeWarning, stacklevel=5)

    def sleep(self, call: Call, seconds: float) -> None:
        """Sleeps by the clock of the engine, but not beyond the time at which the agent is to stop."""
        native(call.sleep, seconds)

    def as_user(self, user_id: str, is_admin: bool) -> Transport:
        """Returns the requests of another user."""
        made = Transport()
        made.opened = self._now_opened().as_user(user_id, is_admin)
        return made

    def close(self, grace: float | None) -> None:
        """Closes the engine."""
        opened = self.opened
        if opened is None or opened.is_closed:
            return
        try:
            native(opened.core.close, grace)
        finally:
            self.opened = None
            opened.end()


def start_loop(runner: Runner) -> asyncio.AbstractEventLoop:
    """Starts a thread with an event loop that runs the coroutines of the agents."""
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner.attach(loop)
        try:
            loop.run_forever()
        finally:
            runner.detach(loop)
            if left := asyncio.all_tasks(loop):
                loop.run_until_complete(asyncio.wait(left, timeout=EXIT_TIMEOUT))
            loop.close()

    threading.Thread(target=run, name="sutazai-loop", daemon=True).start()
    return loop
