"""Tasks of an engine, and handles of single tasks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any, Generic, List, TypeVar, overload

from .._bridge import AsyncTransport
from .._progress import follower
from ..agents import decoder_of
from ..types import (
    AgentMessage,
    Backlog,
    Event,
    FeedEvent,
    Seconds,
    Status,
    TaskCount,
    TaskInfo,
    event_from_dict,
    seconds_of,
    text_of,
)
from .items import AsyncItems

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

PAGE_SIZE = 100


def limit_of(timeout: Seconds | None) -> float | None:
    """Returns a time limit in seconds."""
    return None if timeout is None else seconds_of(timeout)


async def pages(transport: AsyncTransport, verb: str, body: dict[str, Any], limit: int | None) -> AsyncIterator[Any]:
    """Iterates over the items of a listing, page by page, at most `limit` of them."""
    cursor, left = None, limit
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        page = json.loads(await transport.call(verb, {**body, "cursor": cursor, "limit": size}))
        for item in page["items"]:
            yield item
        cursor = page["next"]
        if left is not None:
            left -= len(page["items"])
        if cursor is None:
            return


class AsyncTask(Generic[R_co]):
    """Handle of a submitted task: its id, and the engine to ask about it. Dropping it does not affect the task."""

    id: str

    def __init__(self, transport: AsyncTransport, id: str, decode: Callable[[bytes], R_co] | None = None) -> None:
        self.id = id
        self._transport = transport
        self._decode = decode

    async def result(self, timeout: Seconds | None = None) -> R_co:
        """Waits until the task has ended and returns its result.

        Raises `TaskFailedError` or `TaskCancelledError` if it has none, and `TimedOutError` if it has not ended within
        `timeout` seconds; the task itself goes on.
        """
        answer = await self._transport.call("tasks.result", {"id": self.id, "timeout": limit_of(timeout)})
        return self._decode(answer) if self._decode else json.loads(answer)

    async def wait(self, timeout: Seconds | None = None) -> TaskInfo:
        """Waits until the task has ended, however it ended, and returns it."""
        answer = await self._transport.call("tasks.wait", {"id": self.id, "timeout": limit_of(timeout)})
        return TaskInfo.from_dict(json.loads(answer))

    async def info(self) -> TaskInfo:
        """Returns the task as it is stored now."""
        return TaskInfo.from_dict(json.loads(await self._transport.call("tasks.get", {"id": self.id})))

    async def events(self, *, after: int = 0) -> AsyncIterator[Event]:
        """Iterates over the events with a sequence above `after`: the stored ones, then new ones, until the task has
        ended. A reader may pause for any time."""
        while True:
            chunk = json.loads(await self._transport.call("tasks.events", {"id": self.id, "after": after}))
            if not chunk:
                return
            for data in chunk:
                after = data["sequence"]
                event = event_from_dict(data)
                if event is not None:
                    yield event

    async def follow(self, *, bar: bool | None = None) -> R_co:
        """Shows the progress until the task has ended, and returns its result as `result` does. An interruption such as
        Ctrl-C ends the wait and not the task.

        The bar is one of tqdm where that is installed. By default it is shown on a terminal and in a notebook.
        """
        with follower(bar) as shown:
            async for event in self.events():
                shown.see(event)
        return await self.result()

    async def messages(self) -> AsyncIterator[AgentMessage]:
        """Iterates over the messages between the agent of this task and those of its children or parents."""
        async for data in pages(self._transport, "tasks.messages", {"id": self.id}, None):
            yield AgentMessage.from_dict(data)

    async def cancel(self) -> TaskInfo:
        """Cancels the task: a pending one ends at once, a running one as soon as its agent stops."""
        return TaskInfo.from_dict(json.loads(await self._transport.call("tasks.cancel", {"id": self.id})))

    async def retry(self) -> TaskInfo:
        """Returns a failed task to the queue."""
        return TaskInfo.from_dict(json.loads(await self._transport.call("tasks.retry", {"id": self.id})))

    async def delete(self) -> None:
        """Removes an ended task with its events."""
        await self._transport.call("tasks.delete", {"id": self.id})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __reduce__(self) -> Any:
        raise TypeError("a handle belongs to an engine of this process; send its id and use `tasks.handle` there")


class AsyncFeed(AsyncItems[FeedEvent]):
    """Events of all tasks. It never ends, but with its block."""

    def _read(self, data: Any) -> FeedEvent:
        return FeedEvent.from_dict(data)


class AsyncTasks:
    """Tasks of an engine."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        status: Status | None = None,
        agent: str | None = None,
        parent: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[TaskInfo]:
        """Iterates over the tasks that fit all filters, newest first, at most `limit` of them."""
        body = {
            "status": status,
            "agent": agent,
            "parent": parent,
            "created_after": text_of(created_after) if created_after else None,
            "created_before": text_of(created_before) if created_before else None,
        }
        async for data in pages(self._transport, "tasks.list", body, limit):
            yield TaskInfo.from_dict(data)

    async def get(self, id: str, /) -> TaskInfo:
        """Returns the task with this id."""
        return TaskInfo.from_dict(json.loads(await self._transport.call("tasks.get", {"id": id})))

    @overload
    def handle(self, id: str, /) -> AsyncTask[Any]: ...
    @overload
    def handle(self, id: str, result: type[T], /) -> AsyncTask[T]: ...
    def handle(self, id: str, result: Any = None, /) -> AsyncTask[Any]:
        """Returns a handle of the task with this id, whose result has this type. Whether there is such a task is
        checked by the methods of the handle."""
        return AsyncTask(self._transport, id, decoder_of(result))

    async def as_completed(
        self, tasks: Iterable[AsyncTask[R]], /, *, timeout: Seconds | None = None
    ) -> AsyncIterator[AsyncTask[R]]:
        """Iterates over these tasks in the order in which they end. Raises `TimedOutError` if none ends within
        `timeout` seconds."""
        by_id = {task.id: task for task in tasks}
        async for info in self._ended([*by_id], timeout):
            yield by_id[info.id]

    async def wait_all(
        self, tasks: Iterable[AsyncTask[Any]], /, *, timeout: Seconds | None = None
    ) -> List[TaskInfo]:
        """Waits until all of these tasks have ended and returns them in their order. Raises `TimedOutError` if none ends
        within `timeout` seconds."""
        ids = [task.id for task in tasks]
        ended = {}
        async for info in self._ended(ids, timeout):
            ended[info.id] = info
        return [ended[id] for id in ids]

    async def _ended(self, ids: List[str], timeout: Seconds | None) -> AsyncIterator[TaskInfo]:
        watch = json.loads(await self._transport.call("watches.create", {"ids": ids}))
        try:
            while True:
                body = {"watch": watch, "timeout": limit_of(timeout)}
                data = json.loads(await self._transport.call("watches.next", body))
                if data is None:
                    return
                yield TaskInfo.from_dict(data)
        finally:
            await self._transport.call("watches.delete", {"watch": watch})

    def feed(self, *, after: str | None = None) -> AsyncFeed:
        """Iterates over the events of all tasks after this position, or from the first read on. Who keeps the position of
        the last event misses none."""
        return AsyncFeed(self._transport, "tasks.feed", {"after": after})

    async def retry_failed(self, *, agent: str | None = None) -> int:
        """Returns every failed task, or those of one agent, to the queue and returns their number."""
        return int(json.loads(await self._transport.call("tasks.retry_failed", {"agent": agent})))

    async def statistics(self) -> List[TaskCount]:
        """Counts the tasks by agent and status."""
        counts = json.loads(await self._transport.call("tasks.statistics", {}))
        return [TaskCount.from_dict(count) for count in counts]

    async def backlog(self) -> Backlog:
        """Returns the number of pending tasks, and the due time of the one that has waited longest."""
        return Backlog.from_dict(json.loads(await self._transport.call("tasks.backlog", {})))
