"""Client of a server."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from typing_extensions import Self

from .._remote import AsyncRemoteTransport
from ..errors import ClosedError, InvalidInputError
from ..types import Health, Seconds, seconds_of
from .api import AsyncApi


class AsyncClient(AsyncApi):
    """A SutazAI server, over its HTTP API: the requests of an engine, made by one of the users of the server.

    `url` is the address of the server, such as `https://example.org:10010`; `api_key` is a key of the user, and `login` signs in
    with a password. A request fails after `timeout` seconds, except one for the answer of a model, which has no time limit. Up
    to `retries` times a request is repeated after an error that may pass, if it only reads or has an idempotency key.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: Seconds = 30, retries: int = 3
    ) -> None:
        if retries < 0:
            raise InvalidInputError(f"expected at least 0, got {retries}", field="retries")
        self._url = url
        self._api_key = api_key
        self._user: dict[str, str] | None = None
        self._has_session = False
        self._timeout = seconds_of(timeout)
        self._retries = retries
        self._remote = AsyncRemoteTransport()
        super().__init__(self._remote)

    @classmethod
    async def login(
        cls, url: str, username: str, password: str, *, timeout: Seconds = 30, retries: int = 3
    ) -> Self:
        """Signs in and returns the open client, which renews its tokens itself and signs out when it is closed."""
        client = cls(url, timeout=timeout, retries=retries)
        client._user = {"username": username, "password": password}
        client._has_session = True
        await client.open()
        return client

    async def open(self) -> Self:
        """Opens the client. It connects with the first request."""
        if self._remote.opened is not None:
            raise RuntimeError("this client is open already")
        user, self._user = self._user, None
        if self._has_session and user is None:
            raise ClosedError("this client has signed out; use `login` again")
        options = {
            "url": self._url,
            "api_key": self._api_key,
            "user": user,
            "timeout": self._timeout,
            "retries": self._retries,
        }
        await self._remote.connect(json.dumps(options).encode())
        return self

    async def close(self) -> None:
        """Closes the client: its requests that wait are given up. A client that has signed in signs out."""
        await self._remote.close(None)

    async def __aenter__(self) -> Self:
        # `login` returns an open client.
        return self if self._remote.opened is not None else await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def health(self) -> Health:
        """Returns the checks of the server, which need no sign-in."""
        return Health.from_dict(json.loads(await self._transport.call("health", {})))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url.rpartition('@')[2]}>"

    def __reduce__(self) -> Any:
        raise TypeError("a client belongs to its process; create another for the same server there")
