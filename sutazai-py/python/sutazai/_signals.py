"""Waits for the signals that end a process of workers."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self

# The service manager's, and that of Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Block in which the first signal is waited for. A second one has its usual effect: it ends the process at once."""

    def __enter__(self) -> Self:
        self._arrived = threading.Event()
        self._before: dict[signal.Signals, Any] = {one: signal.signal(one, self._handle) for one in SIGNALS}
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        self._arrived.set()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def wait(self) -> None:
        """Waits for the signal."""
        self._arrived.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()


class AsyncStopSignals:
    """Block in which an event loop waits for the first signal, as `StopSignals` does."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        for one in SIGNALS:
            self._loop.add_signal_handler(one, self._handle)
        return self

    def _handle(self) -> None:
        self._restore()
        self._arrived.set()

    def _restore(self) -> None:
        for one in SIGNALS:
            self._loop.remove_signal_handler(one)

    async def wait(self) -> None:
        """Waits for the signal."""
        await self._arrived.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
