"""The four faces of the package: an engine and a client of a server, for threads and for event loops."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from typing_extensions import TypeAlias

import sutazai
from sutazai.testing import ScriptedModel, async_engine, engine

# Checks one behavior of a face. It awaits what is to be awaited with `of`, and lists iterators with `items`.
Check: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]

SETTINGS = {"ENABLE_AUTH": "false"}


async def of(value: Any) -> Any:
    """Returns a value, which the asynchronous faces make one wait for."""
    return await value if inspect.isawaitable(value) else value


async def items(iterator: Any) -> list[Any]:
    """Returns the items of an iterator of either kind."""
    if hasattr(iterator, "__aiter__"):
        return [item async for item in iterator]
    return list(iterator)


async def first(iterator: Any, count: int) -> list[Any]:
    """Returns the first items of an iterator of either kind, and ends it."""
    found: list[Any] = []
    if hasattr(iterator, "__aiter__"):
        async for item in iterator:
            found.append(item)
            if len(found) == count:
                break
    else:
        for item in iterator:
            found.append(item)
            if len(found) == count:
                break
    if hasattr(iterator, "aclose"):
        await iterator.aclose()
    elif hasattr(iterator, "close"):
        iterator.close()
    return found


async def fails(error: type[Exception], value: Callable[[], Any]) -> Any:
    """Returns the error that a call raises."""
    try:
        await of(value())
    except error as e:
        assert type(e) is error, e
        return e
    raise AssertionError(f"expected {error.__name__}")


def drive(check: Coroutine[Any, Any, None]) -> None:
    """Runs the check of a synchronous face, which never waits for a loop."""
    try:
        check.send(None)
    except StopIteration:
        return
    raise AssertionError("a synchronous face waits for a loop")


Agents: TypeAlias = "list[sutazai.Agent[..., Any]]"
Make: TypeAlias = Callable[[], ScriptedModel]


def _engine(agents: Agents, model: Make) -> sutazai.Engine:
    made = engine(*agents, model=model())
    made._settings.update(SETTINGS)
    return made


def _async_engine(agents: Agents, model: Make) -> sutazai.AsyncEngine:
    made = async_engine(*agents, model=model())
    made._settings.update(SETTINGS)
    return made


def on_engine(check: Check, agents: Agents, model: Make) -> None:
    with _engine(agents, model) as api:
        drive(check(api))


def on_async_engine(check: Check, agents: Agents, model: Make) -> None:
    async def run() -> None:
        async with _async_engine(agents, model) as api:
            await check(api)

    asyncio.run(run())


def on_client(check: Check, agents: Agents, model: Make) -> None:
    with _engine(agents, model) as engine, engine.serve(port=0) as server, sutazai.Client(server.url) as api:
        drive(check(api))


def on_async_client(check: Check, agents: Agents, model: Make) -> None:
    async def run() -> None:
        async with _async_engine(agents, model) as engine, engine.serve(port=0) as server:
            async with sutazai.AsyncClient(server.url) as api:
                await check(api)

    asyncio.run(run())


FACES = {
    "Engine": on_engine,
    "AsyncEngine": on_async_engine,
    "Client": on_client,
    "AsyncClient": on_async_client,
}
