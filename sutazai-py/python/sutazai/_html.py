"""Tables of values for notebooks. Names of processes, containers and disks are texts of others, so every text is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .types import Analysis, Snapshot, TaskInfo

# Processes of a snapshot that are shown, those with most memory first.
MAX_PROCESSES = 5


class Bar:
    """A share of 0 to 100, drawn as a bar next to its number."""

    def __init__(self, percent: float | None) -> None:
        self.percent = percent

    def __str__(self) -> str:
        if self.percent is None:
            return ""
        return f'<meter min="0" max="100" high="90" value="{self.percent:.1f}"></meter> {self.percent:.0f} %'


def _cell(value: Any) -> str:
    return f"<td>{value if isinstance(value, Bar) else html.escape(str(value))}</td>"


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table of rows, each a heading and its cells."""
    lines = (f"<tr><th>{html.escape(str(row[0]))}</th>{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    return f"<table>{''.join(lines)}</table>"


def _bytes(number: float | None) -> str:
    if number is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def task(info: TaskInfo) -> str:
    """Returns a table of the main fields of a task."""
    rows = {
        "id": info.id,
        "agent": info.agent,
        "title": info.title,
        "status": info.status,
        "attempt": f"{info.attempt} of {info.max_attempts}",
        "created": info.created_at.isoformat(),
        "took": "" if info.took is None else f"{info.took.total_seconds():.3f} s",
        "error": info.error.message if info.error else "",
    }
    return table([row for row in rows.items() if row[1]])


def analysis(report: Analysis) -> str:
    """Returns the summary of an analysis and a table of what to do."""
    summaries = {finding.id: finding.summary for finding in report.findings}
    rows = [
        (text.severity, text.resource, summaries.get(text.finding_id, ""), text.text, "; ".join(text.commands))
        for text in report.recommendations
    ]
    return f"<p>{html.escape(report.summary)}</p>{table(rows)}"


def snapshot(measured: Snapshot) -> str:
    """Returns tables of the measured sections, and of those that could not be measured."""
    rows: list[Sequence[Any]] = [("measured at", measured.taken_at.isoformat())]
    processes: list[Sequence[Any]] = []
    if isinstance(measured.host, Mapping):
        rows += _host(measured.host)
        processes += _processes(measured.host)
    if isinstance(measured.pressure, Mapping):
        found = ((name, measured.pressure[name]) for name in ("cpu", "memory", "io"))
        rows += [(f"stalled for {name}", Bar(one["some_avg10"]), "of 10 s") for name, one in found if one]
    if isinstance(measured.cgroup, Mapping) and measured.cgroup["memory_limit_bytes"]:
        used, limit = measured.cgroup["memory_used_bytes"], measured.cgroup["memory_limit_bytes"]
        share = None if used is None else 100 * used / limit
        rows.append(("memory of the group", Bar(share), f"{_bytes(used)} of {_bytes(limit)}"))
    if isinstance(measured.containers, Mapping):
        for one in measured.containers["containers"]:
            rows.append((f"container {one['name']}", Bar(one["memory_used_percent"]), one["state"], one["image"]))
    if isinstance(measured.gpus, Sequence):
        rows += [(f"GPU {gpu['index']}", Bar(gpu["used_percent"]), gpu["name"] or "") for gpu in measured.gpus]
    return table(rows + list(_missing(measured))) + (table(processes) if processes else "")


def _host(host: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    cpu, memory, swap = host["cpu"], host["memory"], host["swap"]
    yield "machine", host["hostname"], host["system"] or host["kernel"]
    yield "processors", Bar(cpu["used_percent"]), f"{cpu['cores']} × {cpu['model'] or 'unknown'}"
    for name, one in (("memory", memory), ("swap", swap)):
        if one["total_bytes"]:
            yield name, Bar(one["used_percent"]), f"{_bytes(one['used_bytes'])} of {_bytes(one['total_bytes'])}"
    for disk in host["disks"]:
        sizes = f"{_bytes(disk['available_bytes'])} of {_bytes(disk['total_bytes'])} available"
        yield f"disk {disk['mount']}", Bar(disk["used_percent"]), sizes


def _processes(host: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    processes: Mapping[str, Any] = host["processes"] or {}
    top: Sequence[Mapping[str, Any]] = processes.get("top") or []
    for one in top[:MAX_PROCESSES]:
        yield one["name"], one["pid"], f"{one['cpu_percent']:.0f} % of a processor", _bytes(one["memory_bytes"])


def _missing(measured: Snapshot) -> Iterator[Sequence[Any]]:
    sections = {name: getattr(measured, name) for name in ("host", "pressure", "cgroup", "containers", "gpus")}
    for name, section in {**sections, **measured.custom}.items():
        # A measured section is a mapping or a list, which may be empty.
        if hasattr(section, "reason"):
            yield name, "not measured", section.reason
