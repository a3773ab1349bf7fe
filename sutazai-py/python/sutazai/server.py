"""HTTP server of an engine in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

from .types import Value


@dataclass(frozen=True)
class Server(Value):
    """Address of a running server. While the server has no admin, whoever has the `setup_code` can create the first one:
    `POST /api/v1/setup`. It is `None` if there is an admin, or if callers need not sign in."""

    url: str
    host: str
    port: int
    setup_code: str | None = field(default=None, repr=False)
