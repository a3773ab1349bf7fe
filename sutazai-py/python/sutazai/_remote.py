"""The two ways to make a request of a server: waiting for it on this thread, or in this event loop."""

from __future__ import annotations

import asyncio
import sys
import warnings

from ._bridge import MODEL_REQUESTS, AsyncTransport, Opened, Transport, _add_hooks, are_models_forbidden, in_thread, native
from ._sutazai import Core
from .errors import ClosedError, from_json


class Connected(Opened):
    """An open connection to a server. It has no agents, and therefore none of the threads of an engine."""

    def __init__(self, options: bytes) -> None:
        self.own_loop = None
        self.is_closed = False
        self.core = native(Core.connect, options)
        _add_hooks()

    def failure(self, json: bytes) -> Exception:
        """Returns the exception of a failed request."""
        return from_json(json)

    def check(self, verb: str) -> None:
        """Refuses a request to a model that a test forbids."""
        if are_models_forbidden() and verb in MODEL_REQUESTS:
            raise RuntimeError(f"no_models() forbids the request {verb}; expected an engine with a ScriptedModel")

    def end(self) -> None:
        """Notes that the connection is closed."""
        self.is_closed = True


class AsyncRemoteTransport(AsyncTransport):
    """Requests to a server from event loops."""

    async def connect(self, options: bytes) -> None:
        """Connects to the server, and signs in if the options say so."""
        self.opened = await in_thread(lambda: Connected(options))

    def _now_opened(self) -> Opened:
        if self.opened is None:
            raise ClosedError("this client is not open; use `async with` or `await client.open()`")
        return self.opened


class RemoteTransport(Transport):
    """Requests to a server from threads."""

    _has_warned = False

    def connect(self, options: bytes) -> None:
        """Connects to the server, and signs in if the options say so."""
        self.opened = Connected(options)

    def _now_opened(self) -> Opened:
        if self.opened is None:
            raise ClosedError("this client is not open; use `with` or `client.open()`")
        return self.opened

    @classmethod
    def _check_loop(cls, opened: Opened) -> None:
        if asyncio._get_running_loop() is not None and not cls._has_warned and "IPython" not in sys.modules:
            RemoteTransport._has_warned = True
            warnings.warn("Client blocks the running event loop; use AsyncClient", RuntimeWarning, stacklevel=5)
