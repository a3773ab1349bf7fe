"""Own metric sources, in snapshots and in the history."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

import sutazai
from sutazai.testing import check_metric_source


class MailQueue(sutazai.MetricSource):
    """Measures a queue."""

    name = "mail_queue"

    def collect(self) -> dict[str, Any]:
        return {"depth": 7, "oldest": {"seconds": 2.5}, "open": True, "name": "outbox"}


class AsyncQueue(sutazai.AsyncMetricSource):
    """Measures with a coroutine."""

    name = "async_queue"

    async def collect(self) -> float:
        await asyncio.sleep(0)
        return 0.5


class Away(sutazai.MetricSource):
    """Has nothing to measure here."""

    name = "away"

    def collect(self) -> None:
        raise sutazai.UnavailableError("no mail server runs on this machine")


class Broken(sutazai.MetricSource):
    """Returns what is no JSON."""

    name = "broken"

    def collect(self) -> float:
        return math.nan


@pytest.mark.parametrize("make", [MailQueue, AsyncQueue, Away])
def test_own_source_conforms(make: Any) -> None:
    check_metric_source(make)


def test_suite_names_what_does_not_conform() -> None:
    with pytest.raises(AssertionError, match="ValueError"):
        check_metric_source(Broken)


def test_sections_of_own_sources() -> None:
    sources: list[sutazai.MetricSource | sutazai.AsyncMetricSource]
    sources = [MailQueue(), AsyncQueue(), Away(), Broken()]
    with sutazai.Engine(":memory:", metric_sources=sources, environment=False) as engine:
        custom = engine.metrics.snapshot().custom
        assert custom["mail_queue"] == MailQueue().collect() and custom["async_queue"] == 0.5
        assert not custom["away"] and custom["away"].reason == "no mail server runs on this machine"
        assert not custom["broken"] and "ValueError" in custom["broken"].reason
        assert list(engine.metrics.snapshot("mail_queue").custom) == ["mail_queue"]


def test_coroutine_measures_on_the_loop_of_an_async_engine() -> None:
    async def main() -> None:
        async with sutazai.AsyncEngine(":memory:", metric_sources=[AsyncQueue()], environment=False) as engine:
            assert (await engine.metrics.snapshot("async_queue")).custom == {"async_queue": 0.5}

    asyncio.run(main())


def test_numbers_are_in_the_history(database: str) -> None:
    source = MailQueue()
    with sutazai.Engine(database, metric_sources=[source, AsyncQueue()], environment=False) as engine:
        expected = ["custom.async_queue", "custom.mail_queue.depth", "custom.mail_queue.oldest.seconds"]
        end = time.monotonic() + 20
        while (found := engine.metrics.series("custom")) != expected:
            assert time.monotonic() < end, found
            time.sleep(0.02)
        assert [point.mean for point in engine.metrics.history("custom.mail_queue.depth")] == [7.0]


@pytest.mark.parametrize("name", ["host", "Mail", "mail queue", "", None])
def test_invalid_name_is_refused(name: Any) -> None:
    source = MailQueue()
    source.name = name
    with pytest.raises(sutazai.InvalidInputError, match="expected"):
        sutazai.Engine(":memory:", metric_sources=[source]).open()


def test_two_sources_of_a_name_are_refused() -> None:
    with pytest.raises(sutazai.InvalidInputError, match="'mail_queue' twice"):
        sutazai.Engine(":memory:", metric_sources=[MailQueue(), MailQueue()]).open()
