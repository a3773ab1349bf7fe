"""The asynchronous engine: loops, cancellation, and agents that are coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import sutazai


@sutazai.agent
async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


@sutazai.agent
def loop_of_thread() -> str:
    return threading.current_thread().name


BEGUN = threading.Event()


@sutazai.agent
async def nap(seconds: float) -> float:
    BEGUN.set()
    await asyncio.sleep(seconds)
    return seconds


@sutazai.agent(max_attempts=1)
async def stubborn() -> str:
    """Ignores the first cancellation."""
    BEGUN.set()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        pass
    await asyncio.sleep(3600)
    return "never"


@sutazai.agent(max_attempts=1, timeout=1)
async def too_slow() -> None:
    await sutazai.current_async().sleep(60)


AGENTS: list[sutazai.Agent[..., Any]] = [double, loop_of_thread, nap, stubborn, too_slow]


def run(scenario: Callable[[sutazai.AsyncEngine], Awaitable[None]], database: str = ":memory:") -> None:
    async def main() -> None:
        async with sutazai.AsyncEngine(database, agents=AGENTS, workers=100) as engine:
            await scenario(engine)

    asyncio.run(main())


def test_coroutines_run_on_the_loop_of_the_caller(database: str) -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        assert await engine.run(double.task(21)) == 42
        assert await engine.run(loop_of_thread.task()) == "sutazai-agent"
        results = await asyncio.gather(*[engine.run(double.task(n)) for n in range(100)])
        assert results == [2 * n for n in range(100)]

    run(scenario, database)


def test_coroutines_wait_at_the_same_time() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        began = time.monotonic()
        tasks = await engine.submit_all(nap.task(0.5) for _ in range(80))
        await engine.tasks.wait_all(tasks)
        assert time.monotonic() - began < 5

    run(scenario)


def test_cancelled_waiter_leaves_the_task() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        task = await engine.submit(nap.task(0.5))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task.result(), 0.05)
        assert await task.result() == 0.5

    run(scenario)


def test_cancellation_reaches_a_coroutine_even_repeatedly() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        for new in (nap.task(3600), stubborn.task()):
            BEGUN.clear()
            task = await engine.submit(new)
            while not BEGUN.is_set():
                await asyncio.sleep(0.01)
            began = time.monotonic()
            await task.cancel()
            with pytest.raises(sutazai.TaskCancelledError):
                await task.result(10)
            assert time.monotonic() - began < 4

    run(scenario)


def test_time_limit_ends_an_attempt() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        with pytest.raises(sutazai.TaskFailedError) as e:
            await engine.run(too_slow.task(), timeout=10)
        assert e.value.error.kind == "timeout"

    run(scenario)


def test_events_and_completion_order() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        tasks = await engine.submit_all(nap.task(seconds) for seconds in (0.6, 0.01))
        ended = [await task.result() async for task in engine.tasks.as_completed(tasks)]
        assert ended == [0.01, 0.6]
        statuses = [e.status async for e in tasks[0].events() if isinstance(e, sutazai.StatusEvent)]
        assert statuses[-1] == "completed"
        assert [info.agent async for info in engine.tasks.list(limit=1)] == ["nap"]

    run(scenario)


def test_one_engine_object_serves_loops_one_after_another() -> None:
    engine = sutazai.AsyncEngine(":memory:", agents=AGENTS)

    async def main(number: int) -> int:
        async with engine:
            return await engine.run(double.task(number))

    assert [asyncio.run(main(number)) for number in range(3)] == [0, 2, 4]


def test_open_engine_is_used_from_other_loops() -> None:
    async def scenario(engine: sutazai.AsyncEngine) -> None:
        results = list[int]()

        def other() -> None:
            results.append(asyncio.run(engine.run(double.task(4))))

        threads = [threading.Thread(target=other) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0.01)
        assert results == [8, 8, 8]

    run(scenario)


def test_engine_works_under_uvloop() -> None:
    import uvloop

    async def main() -> int:
        async with sutazai.AsyncEngine(":memory:", agents=AGENTS) as engine:
            return await engine.run(double.task(3))

    loop = uvloop.new_event_loop()
    assert loop.run_until_complete(main()) == 6
    loop.close()


def test_synchronous_engine_has_a_loop_for_coroutines() -> None:
    with sutazai.Engine(":memory:", agents=AGENTS, workers=100) as engine:
        tasks = engine.submit_all(nap.task(0.3) for _ in range(50))
        began = time.monotonic()
        engine.tasks.wait_all(tasks, timeout=10)
        assert time.monotonic() - began < 5


def test_failed_opening_leaves_nothing_behind() -> None:
    async def main() -> None:
        with pytest.raises(sutazai.UnsupportedError):
            await sutazai.AsyncEngine("mysql://x/y", agents=AGENTS).open()
        async with sutazai.AsyncEngine(":memory:", agents=AGENTS) as engine:
            assert await engine.run(double.task(1)) == 2

    asyncio.run(main())
