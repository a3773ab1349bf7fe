"""Requests of users: the same engine, seen by one of its owners."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from pathlib import Path

import pytest

import sutazai

ALICE, BOB = str(uuid.uuid4()), str(uuid.uuid4())


@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y


@sutazai.agent
def whose() -> str | None:
    context = sutazai.current()
    context.submit(add.task(1, 1))
    return context.task.owner


@sutazai.agent(admin_only=True)
def sweep() -> str:
    return "swept"


def test_tasks_of_a_user_are_its_own(database: str) -> None:
    with sutazai.Engine(database, agents=[add, whose]) as engine:
        alice, bob = engine.as_user(ALICE), engine.as_user(BOB)
        task = alice.submit(whose.task())
        assert task.result(timeout=10) == ALICE and task.info().owner == ALICE
        assert bob.run(add.task(1, 2), timeout=10) == 3
        assert {info.owner for info in alice.tasks.list()} == {ALICE}
        assert [info.owner for info in bob.tasks.list()] == [BOB]
        assert len(list(engine.tasks.list())) == len(list(engine.as_user(BOB, admin=True).tasks.list())) == 3
        with pytest.raises(sutazai.NotFoundError):
            bob.tasks.get(task.id)
        with pytest.raises(sutazai.NotFoundError):
            bob.tasks.handle(task.id).wait(timeout=5)
        assert sum(count.count for count in bob.tasks.statistics()) == 1
        assert [ended.id for ended in alice.tasks.as_completed([task])] == [task.id]


def test_admin_agents_are_for_admins() -> None:
    with sutazai.Engine(":memory:", agents=[sweep]) as engine:
        with pytest.raises(sutazai.ForbiddenError):
            engine.as_user(ALICE).submit(sweep.task())
        assert engine.as_user(ALICE, admin=True).run(sweep.task(), timeout=10) == "swept"


def test_documents_conversations_and_schedules_have_owners() -> None:
    with sutazai.Engine(":memory:", agents=[add]) as engine:
        alice, bob = engine.as_user(ALICE), engine.as_user(BOB)
        alice.documents.add(b"The sea is salty.", title="Sea")
        alice.chat.begin(title="Numbers")
        schedule = alice.schedules.create("night", add.task(1, 2), cron="0 3 * * *")
        assert [passage.title for passage in alice.documents.search("sea")] == ["Sea"]
        assert bob.documents.search("sea") == [] and list(bob.chat.list()) == [] == list(bob.schedules.list())
        with pytest.raises(sutazai.NotFoundError):
            bob.schedules.delete(schedule.id)
        assert len(list(alice.chat.list())) == len(list(alice.schedules.list())) == 1


def test_feed_of_a_user_has_its_events_only() -> None:
    with sutazai.Engine(":memory:", agents=[add]) as engine, engine.as_user(ALICE).tasks.feed() as feed:
        owners: list[str | None] = []
        reader = threading.Thread(target=lambda: owners.extend(next(feed).owner for _ in range(3)), daemon=True)
        reader.start()
        end = time.monotonic() + 20
        # The feed begins with its first read, so there are tasks until it has seen some.
        while reader.is_alive():
            assert time.monotonic() < end
            for user in (BOB, ALICE):
                engine.as_user(user).run(add.task(1, 2), timeout=10)
            reader.join(0.01)
        assert owners == [ALICE] * 3


def test_users_may_not_read_metrics_that_are_closed_to_them(tmp_path: Path) -> None:
    settings = {"USERS_READ_METRICS": "false"}
    with sutazai.Engine(tmp_path / "tasks.db", settings=settings) as engine:
        with pytest.raises(sutazai.ForbiddenError):
            engine.as_user(ALICE).metrics.snapshot("cgroup")
        engine.as_user(ALICE, admin=True).metrics.snapshot("cgroup")


def test_user_of_an_async_engine() -> None:
    async def main() -> None:
        async with sutazai.AsyncEngine(":memory:", agents=[add]) as engine:
            alice = engine.as_user(ALICE)
            assert await alice.run(add.task(1, 2)) == 3
            assert [info.owner async for info in alice.tasks.list()] == [ALICE]
            assert (await alice.health()).status == "healthy"

    asyncio.run(main())


def test_invalid_user_is_named() -> None:
    with sutazai.Engine(":memory:") as engine, pytest.raises(ValueError, match="user_id: expected a UUID, got \"alice\""):
        engine.as_user("alice")
    with pytest.raises(sutazai.ClosedError):
        engine.as_user(ALICE)
