"""Time travel: engines whose time a test advances."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

import sutazai
from sutazai._pytest_plugin import EngineFactory
from sutazai.testing import Clock, async_engine, engine

DAY = timedelta(days=1)


def wait_until(condition: Callable[[], bool], limit: float = 10) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.005)


def advance_until(clock: Clock, seconds: float, condition: Callable[[], bool]) -> None:
    def is_reached() -> bool:
        clock.advance(seconds)
        return condition()

    wait_until(is_reached)


@sutazai.agent
def remind(text: str) -> str:
    return f"{text}ed"


@sutazai.agent(timeout=3600)
def sleep_for(minutes: float) -> str:
    context = sutazai.current()
    context.progress(0.0, "asleep")
    context.sleep(timedelta(minutes=minutes))
    return context.now().isoformat()


@sutazai.agent(timeout=3600)
async def sleep_slowly(minutes: float) -> str:
    context = sutazai.current_async()
    await context.sleep(timedelta(minutes=minutes))
    return context.now().isoformat()


def test_reminder_comes_tomorrow(sutazai_engine: EngineFactory, sutazai_clock: Clock) -> None:
    engine = sutazai_engine(remind, clock=sutazai_clock)
    task = engine.submit(remind.task("call").but(run_at=sutazai_clock.now + DAY))
    assert task.info().status == "pending"
    sutazai_clock.advance(DAY - timedelta(seconds=1))
    assert task.info().status == "pending"
    sutazai_clock.advance(1)
    assert task.result(timeout=5) == "called"


def test_clock_begins_where_the_test_says() -> None:
    start = datetime(2030, 5, 1, tzinfo=timezone.utc)
    clock = Clock(start)
    assert clock.now == start and clock.next() is None
    with pytest.raises(ValueError, match="at least 0 s"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="zone"):
        Clock(datetime(2030, 5, 1))


@pytest.mark.parametrize("agent", [sleep_for, sleep_slowly])
def test_agents_sleep_by_the_clock(sutazai_engine: EngineFactory, agent: sutazai.Agent[[float], str]) -> None:
    clock = Clock()
    engine = sutazai_engine(agent, clock=clock)
    task = engine.submit(agent.task(30.0))
    wait_until(lambda: task.info().status == "processing")
    result: list[str] = []
    waiter = threading.Thread(target=lambda: result.append(task.result(timeout=10)))
    waiter.start()
    while waiter.is_alive():
        # To the next sleeper, which is one of the engine at first.
        clock.next()
        waiter.join(0.001)
    assert result and result[0] >= (Clock().now + timedelta(minutes=30)).isoformat()


def test_failed_attempt_is_repeated_after_its_delay() -> None:
    attempts: list[datetime] = []

    @sutazai.agent(max_attempts=2)
    def flaky() -> int:
        attempts.append(sutazai.current().now())
        if len(attempts) == 1:
            raise sutazai.BusyError("full", retry_after=3600)
        return len(attempts)

    clock = Clock()
    with engine(flaky, clock=clock) as opened:
        task = opened.submit(flaky.task())
        wait_until(lambda: task.info().failures == 1)
        assert len(attempts) == 1
        clock.advance(timedelta(hours=2))
        assert task.result(timeout=5) == 2
    assert attempts[1] - attempts[0] >= timedelta(hours=1)


def test_schedule_submits_at_its_time() -> None:
    clock = Clock(datetime(2026, 3, 1, 2, 59, tzinfo=timezone.utc))
    with engine(remind, clock=clock) as opened:
        opened.schedules.create("night", remind.task("call"), cron="0 3 * * *")
        assert list(opened.tasks.list()) == []
        advance_until(clock, 30, lambda: bool(list(opened.tasks.list(status="completed"))))
        (task, *_) = opened.tasks.list()
        assert task.result == "called" and task.created_at >= datetime(2026, 3, 1, 3, tzinfo=timezone.utc)


def test_time_limit_of_an_attempt_is_by_the_clock() -> None:
    @sutazai.agent(timeout=60, max_attempts=1)
    async def endless() -> None:
        await asyncio.Event().wait()

    clock = Clock()
    with engine(endless, clock=clock) as opened:
        task = opened.submit(endless.task())
        wait_until(lambda: task.info().status == "processing")
        # The attempt may begin to measure its time a moment after its task is processed.
        advance_until(clock, 61, lambda: task.info().has_ended)
        error = task.info().error
        assert error is not None and error.kind == "timeout"


@pytest.mark.parametrize("agent", [sleep_for, sleep_slowly])
def test_engine_closes_while_an_agent_sleeps(agent: sutazai.Agent[[float], str]) -> None:
    clock = Clock()
    opened = engine(agent, clock=clock).open()
    task = opened.submit(agent.task(9.0))
    wait_until(lambda: task.info().status == "processing")
    begun = time.monotonic()
    opened.close()
    assert time.monotonic() - begun < 5


def test_async_engine_takes_a_clock() -> None:
    async def main() -> None:
        clock = Clock()
        async with async_engine(remind, clock=clock) as opened:
            task = await opened.submit(remind.task("call").but(run_at=clock.now + DAY))
            clock.advance(DAY)
            assert await task.result(timeout=5) == "called"

    asyncio.run(main())
