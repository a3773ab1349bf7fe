"""Agents that are registered while the engine is open."""

from __future__ import annotations

import asyncio
import threading

import pytest

import sutazai


@sutazai.agent
def size(text: str) -> int:
    """Counts characters."""
    return len(text)


@sutazai.agent(name="size")
def size_in_words(words: list[str]) -> int:
    """Counts words."""
    return len(words)


@sutazai.agent(name="size")
async def doubled(text: str) -> int:
    """Counts characters twice."""
    await asyncio.sleep(0)
    return 2 * len(text)


def test_registered_agent_runs_and_replaces_its_predecessor(database: str) -> None:
    with sutazai.Engine(database) as engine:
        with pytest.raises(sutazai.InvalidInputError, match="size"):
            engine.submit(size.task("abc"))
        engine.register(size)
        assert engine.run(size.task("abc")) == 3
        engine.register(size_in_words)
        assert engine.run(size_in_words.task(["a", "b"])) == 2
        with pytest.raises(sutazai.InvalidInputError) as caught:
            engine.submit(size.task("abc"))
        assert caught.value.field == "payload.text"
        assert [agent.description for agent in engine.agents() if agent.name == "size"] == ["Counts words."]


def test_pending_task_runs_with_the_new_agent(database: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @sutazai.agent(name="busy")
    def busy() -> str:
        begun.set()
        go_on.wait(10)
        return "old"

    @sutazai.agent(name="busy")
    def replaced() -> str:
        return "new"

    with sutazai.Engine(database, agents=[busy], workers=1) as engine:
        tasks = [engine.submit(busy.task())]
        assert begun.wait(10)
        tasks.append(engine.submit(busy.task()))
        engine.register(replaced)
        go_on.set()
        assert [task.result(10) for task in tasks] == ["old", "new"]


def test_coroutine_replaces_a_function_and_the_other_way_round(database: str) -> None:
    with sutazai.Engine(database) as engine:
        for _ in range(2):
            engine.register(doubled)
            assert engine.run(doubled.task("abc"), timeout=10) == 6
            engine.register(size)
            assert engine.run(size.task("abc"), timeout=10) == 3


def test_agents_are_registered_from_an_event_loop_before_and_after_opening() -> None:
    async def main() -> None:
        engine = sutazai.AsyncEngine(":memory:", agents=[size])
        await engine.register(doubled)
        for expected in (6, 3):
            async with engine:
                assert await engine.run(size.task("abc"), timeout=10) == expected
                await engine.register(size)
                assert await engine.run(size.task("abc"), timeout=10) == 3

    asyncio.run(main())


def test_wrong_name_is_refused() -> None:
    @sutazai.agent(name="Loud")
    def loud() -> None: ...

    with sutazai.Engine(":memory:") as engine:
        with pytest.raises(sutazai.InvalidInputError, match="kebab case"):
            engine.register(loud)
        assert "Loud" not in [agent.name for agent in engine.agents()]
