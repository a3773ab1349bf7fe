"""Metrics and schedules of an engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

from .._bridge import AsyncTransport
from ..agents import NewTask
from ..types import MetricPoint, MissedRuns, Overlap, Schedule, Snapshot, text_of
from .tasks import pages


class AsyncMetrics:
    """Measurements of this machine."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def snapshot(self, *sections: str) -> Snapshot:
        """Measures these sections, or all: `host`, `pressure`, `cgroup`, `containers`, `gpus`."""
        answer = await self._transport.call("metrics.snapshot", {"sections": sections})
        return Snapshot.from_dict(json.loads(answer))

    async def series(self, prefix: str = "") -> list[str]:
        """Lists the recorded series whose names begin with `prefix`."""
        return list(json.loads(await self._transport.call("metrics.series", {"prefix": prefix})))

    async def history(
        self, series: str, /, *, since: datetime | None = None, max_points: int = 500
    ) -> list[MetricPoint]:
        """Returns the recorded values of a series since this time, by default of the last day."""
        begin = since if since is not None else datetime.now(timezone.utc) - timedelta(days=1)
        body = {"series": series, "since": text_of(begin), "max_points": max_points}
        points = json.loads(await self._transport.call("metrics.history", body))
        return [MetricPoint.from_dict(point) for point in points]


class AsyncSchedules:
    """Schedules of an engine: tasks submitted at the times of a cron expression."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        task: NewTask[Any],
        /,
        *,
        cron: str,
        time_zone: str = "UTC",
        missed: MissedRuns = "once",
        overlap: Overlap = "skip",
        enabled: bool = True,
    ) -> Schedule:
        """Creates a schedule. Of the task it takes the agent, the payload and the priority."""
        plan = _plan(name, task, cron, time_zone, missed, overlap, enabled)
        return Schedule.from_dict(json.loads(await self._transport.call("schedules.create", plan)))

    async def list(self, *, limit: int | None = None) -> AsyncIterator[Schedule]:
        """Iterates over the schedules, newest first, at most `limit` of them."""
        async for data in pages(self._transport, "schedules.list", {}, limit):
            yield Schedule.from_dict(data)

    async def get(self, id: str, /) -> Schedule:
        """Returns the schedule with this id."""
        return Schedule.from_dict(json.loads(await self._transport.call("schedules.get", {"id": id})))

    async def replace(
        self,
        id: str,
        name: str,
        task: NewTask[Any],
        /,
        *,
        cron: str,
        time_zone: str = "UTC",
        missed: MissedRuns = "once",
        overlap: Overlap = "skip",
        enabled: bool = True,
    ) -> Schedule:
        """Replaces the plan of a schedule."""
        plan = _plan(name, task, cron, time_zone, missed, overlap, enabled)
        body = {"id": id, "plan": plan}
        return Schedule.from_dict(json.loads(await self._transport.call("schedules.replace", body)))

    async def delete(self, id: str, /) -> None:
        """Removes a schedule. Its tasks stay."""
        await self._transport.call("schedules.delete", {"id": id})


def _plan(
    name: str, task: NewTask[Any], cron: str, time_zone: str, missed: MissedRuns, overlap: Overlap, enabled: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "agent": task.agent,
        "payload": task.payload,
        "priority": task.priority,
        "cron": cron,
        "time_zone": time_zone,
        "missed": missed,
        "overlap": overlap,
        "enabled": enabled,
    }
