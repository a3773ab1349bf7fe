"""Streams of an engine, item by item."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Generic, List, TypeVar

from typing_extensions import Self

from .._bridge import AsyncTransport
from .._sutazai import Stream

I = TypeVar("I")


class AsyncItems(Generic[I]):
    """Items of a native stream. Leaving the block, or dropping the object, ends the work behind the stream."""

    def __init__(self, transport: AsyncTransport, verb: str, body: Any) -> None:
        self._transport = transport
        self._stream: Stream | None = transport.stream(verb, body)
        self._items: List[Any] = []

    def _read(self, data: Any) -> I:
        raise NotImplementedError

    async def _next(self) -> Any:
        """Returns the next item as JSON; `None` after the last."""
        if not self._items and self._stream is not None:
            self._items = json.loads(await self._transport.next(self._stream))
            self._items.reverse()
            if not self._items:
                self.close()
        return self._items.pop() if self._items else None

    def close(self) -> None:
        """Ends the stream. Items that were not read yet are lost."""
        stream, self._stream, self._items = self._stream, None, []
        if stream is not None:
            stream.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> I:
        data = await self._next()
        if data is None:
            raise StopAsyncIteration
        return self._read(data)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
