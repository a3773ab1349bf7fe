"""Runs agents: functions on threads, coroutines on an event loop. Both fetch their calls from a native queue."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import errno
import functools
import json
import logging
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ._otel import attached
from ._sutazai import Call, PortCall, Queue
from .agents import Agent, NewTask, invalid_payload
from .errors import Error
from .types import TaskInfo

if TYPE_CHECKING:
    from ._bridge import Opened
    from ._ports import Ports

logger = logging.getLogger("sutazai.agents")

# Exceptions of agents that are kept for callers in this process, which may never ask for them.
MAX_FAILURES = 128
# Items that an event loop takes before it runs other callbacks.
MAX_DRAINED = 256

_NETWORK_ERRORS = frozenset(
    {errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EPIPE}
)


class Interrupted(BaseException):
    """Raised in the thread of an agent that ignores its cancellation. It is no `Exception`, so that only `finally` and
    `except BaseException` see it."""


class WaitForChildren(BaseException):
    """Leaves the function of an agent that waits for its children."""

    def __init__(self, children: Iterable[NewTask[Any]], state: Any, wait_for_any: bool) -> None:
        super().__init__("the agent waits for its children")
        self.children = tuple(children)
        self.request = {"children": [child.to_dict() for child in self.children], "state": state, "any": wait_for_any}


class RunningCall(Protocol):
    """A call that runs, as its context has it."""

    call: Call
    is_shielded: bool


@dataclass(frozen=True)
class ContextPair:
    """Contexts of a test, for whatever it calls: a function or a coroutine."""

    function: Any
    coroutine: Any


# The context of the agent that runs here; `sutazai.current` and `sutazai.current_async` return it.
current_context: contextvars.ContextVar[Any] = contextvars.ContextVar("sutazai_context")


class Runner:
    """Threads, and the event loop, that run the agents of one engine."""

    def __init__(self, agents: Iterable[Agent[..., Any]], ports: Ports, max_threads: int) -> None:
        self.agents = {agent.name: agent for agent in agents}
        self.ports = ports
        self.max_threads = max_threads
        self.threads, self.watcher, self.loop_queue = Queue(), Queue(), Queue()
        self._failures: OrderedDict[str, tuple[int, BaseException]] = OrderedDict()
        self.opened: Opened | None = None
        self.has_test_model = False
        self.forwards_logs = False
        self.make_context: Callable[[Call, Opened], Any]
        self.make_async_context: Callable[[Call, Opened], Any]
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        # What each thread runs, `None` if it is idle. A thread that never returns is not among them.
        self._workers: dict[int, RunningCall | None] = {}
        self._started: list[threading.Thread] = []
        self._lost: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def lost_threads(self) -> int:
        """Number of threads whose agent did not stop; each was replaced by another."""
        return len(self._lost)

    @property
    def has_async(self) -> bool:
        """Whether anything runs on an event loop."""
        return self.ports.has_async or any(agent.is_async for agent in self.agents.values())

    def register(self, agent: Agent[..., Any]) -> None:
        """Adds an agent, or replaces the one with its name."""
        self.agents[agent.name] = agent
        self._start_workers()

    def start(self) -> None:
        """Starts the threads, if any agent or own object needs them."""
        self.ports.start()
        self._start_workers()

    def _start_workers(self) -> None:
        """Starts the threads of agents, if any agent needs them and they do not run yet."""
        if not self._started and any(not agent.is_async for agent in self.agents.values()):
            self._start(self._watch, "sutazai-watcher")
            with self._lock:
                self._add_worker()

    def _start(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._started.append(thread)
        thread.start()

    def _add_worker(self) -> None:
        """Starts a thread if none is idle and there are not too many."""
        has_idle = any(running is None for running in self._workers.values())
        if not has_idle and len(self._workers) < self.max_threads and len(self._lost) <= self.max_threads:
            started = threading.Event()

            def work() -> None:
                self._workers[threading.get_ident()] = None
                started.set()
                self._work()

            try:
                self._start(work, "sutazai-agent")
                started.wait()
            except RuntimeError as e:
                logger.warning("thread not started: %s", e)

    def _work(self) -> None:
        me = threading.get_ident()
        while True:
            call = None
            try:
                call = self.threads.next()
                if not isinstance(call, Call):
                    return
                self._run(call, me)
            except Interrupted:
                # It was raised after the agent had ended.
                pass
            finally:
                # Not kept while this thread waits for the next call.
                call = None
                with self._lock:
                    is_lost = me not in self._workers
                    if is_lost:
                        self._lost.discard(me)
                    else:
                        self._workers[me] = None
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), None)
            if is_lost:
                return

    def _run(self, call: Call, me: int) -> None:
        assert self.opened is not None
        context = self.make_context(call, self.opened)
        with self._lock:
            self._workers[me] = context
            self._add_worker()
        agent = self.agents[call.agent]
        try:
            args, kwargs = self._arguments(agent, call)
            result = self._context.copy().run(self._invoke, context, agent, args, kwargs)
            call.finish(agent.write_result(result))
        except BaseException as e:
            self._fail(call, e)

    @staticmethod
    def _invoke(context: Any, agent: Agent[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        current_context.set(context)
        with attached(context.call.traceparent):
            return agent.function(*args, **kwargs)

    @staticmethod
    def _arguments(agent: Agent[..., Any], call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            return agent.arguments(call.payload)
        except ValueError as e:
            # Imported here, because an import statement costs a microsecond for each task.
            from pydantic import ValidationError

            if isinstance(e, ValidationError):
                raise invalid_payload(e) from e
            raise

    def _watch(self) -> None:
        """Interrupts threads whose agents do not stop, and replaces those that are lost."""
        while (item := self.watcher.next()) is not None:
            assert isinstance(item, int)
            with self._lock:
                found = [
                    (ident, running)
                    for ident, running in self._workers.items()
                    if running is not None and running.call.number == abs(item)
                ]
                for ident, running in found:
                    if item < 0:
                        del self._workers[ident]
                        self._lost.add(ident)
                        logger.error("agent does not stop: its thread is lost", extra={"agent": running.call.agent})
                        self._add_worker()
                    elif self.agents[running.call.agent].interrupt and not running.is_shielded:
                        error = ctypes.py_object(Interrupted)
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), error)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs coroutines on this event loop, which is the running one."""
        loop.add_reader(self.loop_queue.fileno(), self._drain, loop)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs no more coroutines on this event loop, and cancels those that the engine no longer waits for."""
        if not loop.is_closed():
            loop.remove_reader(self.loop_queue.fileno())
            for task in list(self._tasks.values()):
                loop.call_soon_threadsafe(task.cancel)

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        for item in self.loop_queue.drain(MAX_DRAINED):
            if isinstance(item, (Call, PortCall)):
                serve = self._run_async(item) if isinstance(item, Call) else self.ports.serve(item)
                coroutine: Coroutine[Any, Any, None] = serve
                task = self._context.copy().run(loop.create_task, coroutine)
                self._tasks[item.number] = task
                task.add_done_callback(functools.partial(self._ended, item.number))
            elif isinstance(item, int) and (running := self._tasks.get(abs(item))):
                running.cancel()

    def _ended(self, number: int, _: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)

    async def _run_async(self, call: Call) -> None:
        assert self.opened is not None
        current_context.set(self.make_async_context(call, self.opened))
        agent = self.agents[call.agent]
        try:
            args, kwargs = self._arguments(agent, call)
            with attached(call.traceparent):
                result = await agent.function(*args, **kwargs)
            call.finish(agent.write_result(result))
        except BaseException as e:
            self._fail(call, e)
            if isinstance(e, (KeyboardInterrupt, SystemExit)):
                raise

    def _fail(self, call: Call, error: BaseException) -> None:
        if isinstance(error, WaitForChildren):
            try:
                call.wait_for(json.dumps(error.request).encode())
                return
            except Exception as e:
                error = e
        try:
            if not call.is_cancelled:
                self._keep(call, error)
        finally:
            # Last, because a caller looks for the exception as soon as the task has failed.
            call.fail(json.dumps(failure_of(error, call.is_cancelled)).encode())

    def _keep(self, call: Call, error: BaseException) -> None:
        """Keeps the exception of an attempt for callers in this process."""
        logger.warning("agent failed", exc_info=error, extra={"agent": call.agent, "task_id": call.task_id})
        # Frames would keep everything alive that the agent had in its variables.
        traceback.clear_frames(error.__traceback__)
        attempt = json.loads(call.task)["attempt"]
        with self._lock:
            self._failures[call.task_id] = (attempt, error)
            while len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)

    def cause_of(self, task: TaskInfo) -> BaseException | None:
        """Returns the exception of the last attempt at a task, if it ran here and is still kept."""
        attempt, error = self._failures.get(task.id, (None, None))
        return error if attempt == task.attempt else None

    def close(self, join_timeout: float) -> None:
        """Ends the threads; one whose agent does not stop is left behind."""
        for queue in (self.threads, self.watcher, self.loop_queue):
            queue.close()
        for thread in self._started:
            if thread is not threading.current_thread():
                thread.join(0 if thread.ident in self._lost else join_timeout)
        self.ports.close(join_timeout)


def failure_of(error: BaseException, is_cancelled: bool) -> dict[str, Any]:
    """Returns the failure of a task whose agent raised this exception."""
    if is_cancelled and isinstance(error, (asyncio.CancelledError, Interrupted)):
        return {"kind": "cancelled", "message": "the task was asked to stop"}
    if isinstance(error, asyncio.CancelledError):
        return {"kind": "unavailable", "message": "the coroutine of the agent was cancelled"}
    if isinstance(error, Error):
        return {
            "kind": error.kind,
            "message": error.message,
            "field": error.field,
            "retry_after": error.retry_after,
        }
    if isinstance(error, TimeoutError):
        kind = "timeout"
    elif isinstance(error, ConnectionError) or (isinstance(error, OSError) and error.errno in _NETWORK_ERRORS):
        kind = "unavailable"
    else:
        kind = "internal"
    text = str(error)
    return {"kind": kind, "message": f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__}
