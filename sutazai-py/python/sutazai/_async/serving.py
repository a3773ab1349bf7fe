"""HTTP server of an engine, for the time of a block."""

from __future__ import annotations

import json
from types import TracebackType

from .._bridge import AsyncTransport
from ..errors import ClosedError, InvalidInputError
from ..server import Server


class AsyncServing:
    """HTTP server that starts when its block is entered and stops when the block is left."""

    def __init__(self, transport: AsyncTransport, host: str, port: int, signing_key: str) -> None:
        if not 0 <= port <= 65535:
            raise InvalidInputError(f"expected 0 to 65535, got {port}", field="port")
        self._transport = transport
        self._request = {"host": host, "port": port, "signing_key": signing_key}
        self._number: int | None = None

    async def __aenter__(self) -> Server:
        data = json.loads(await self._transport.call("server.start", self._request))
        self._number = data["number"]
        return Server.from_dict(data)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._transport.call("server.stop", {"number": self._number})
        except ClosedError:
            # The engine has stopped it.
            pass
