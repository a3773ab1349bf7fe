"""Values that the engine returns: frozen data classes. Fields that this version does not know are left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Literal, Union, cast

from typing_extensions import Self, TypeAlias

from . import _html

JsonIn: TypeAlias = Union[Mapping[str, "JsonIn"], Sequence["JsonIn"], str, int, float, bool, None]
Seconds: TypeAlias = Union[float, timedelta]
Status: TypeAlias = Literal["pending", "processing", "completed", "failed", "cancelled"]
MissedRuns: TypeAlias = Literal["skip", "once", "all"]
Overlap: TypeAlias = Literal["skip", "queue", "allow"]

ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


def seconds_of(duration: Seconds) -> float:
    """Returns a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def time_of(text: str) -> datetime:
    """Reads a time in RFC 3339, with up to nine digits of a fraction."""
    moment, _, zone = text.replace("Z", "+00:00").partition("+")
    whole, _, fraction = moment.partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+{zone or '00:00'}")


def text_of(moment: datetime) -> str:
    """Writes a time in RFC 3339. A time without a zone is refused, because nothing says what it means."""
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with a zone such as datetime.now(timezone.utc), got {moment!r}")
    return moment.astimezone(timezone.utc).isoformat()



@dataclass(frozen=True)
class Value:
    """Base of all values: reads JSON and writes it."""

    _times: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Creates the value from the JSON object that `to_dict` writes."""
        known = {}
        for field in dataclasses.fields(cls):
            if field.name in data:
                value = data[field.name]
                known[field.name] = time_of(value) if field.name in cls._times and value else value
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Returns the value as a JSON object."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value


@dataclass(frozen=True)
class TaskError(Value):
    """Error of an attempt: its kind and a sentence for people."""

    kind: str
    message: str


@dataclass(frozen=True)
class TaskInfo(Value):
    """A task as it is stored."""

    _times = frozenset({"run_at", "created_at", "updated_at", "started_at", "finished_at"})

    id: str
    agent: str
    status: Status
    payload: Any
    result: Any
    error: TaskError | None
    title: str
    description: str
    priority: int
    timeout_seconds: int
    max_attempts: int
    attempt: int
    failures: int
    run_at: datetime
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    owner: str | None = None
    parent: str | None = None
    idempotency_key: str | None = None
    unique_key: str | None = None
    cancel_requested: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        error = data["error"]
        return super().from_dict({**data, "error": error and TaskError.from_dict(error)})

    @property
    def has_ended(self) -> bool:
        """Whether no worker runs the task again, unless it is retried by hand."""
        return self.status in ENDED

    @property
    def took(self) -> timedelta | None:
        """Duration of the latest attempt of an ended task."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    def _repr_html_(self) -> str:
        return _html.task(self)


@dataclass(frozen=True)
class StatusEvent(Value):
    """The task changed its status."""

    _times = frozenset({"at"})

    task_id: str
    sequence: int
    at: datetime
    status: Status
    attempt: int
    error: TaskError | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        error = data.get("error")
        return super().from_dict({**data, "error": error and TaskError.from_dict(error)})


@dataclass(frozen=True)
class ProgressEvent(Value):
    """The agent reported progress: the completed share, 0.0 to 1.0, and what it does."""

    _times = frozenset({"at"})

    task_id: str
    sequence: int
    at: datetime
    fraction: float
    message: str
    stage: str | None = None


@dataclass(frozen=True)
class TextEvent(Value):
    """The agent reported a piece of text."""

    _times = frozenset({"at"})

    task_id: str
    sequence: int
    at: datetime
    text: str
    finding_id: str | None = None


@dataclass(frozen=True)
class FindingsEvent(Value):
    """An analysis has run its rules; the texts about these findings follow."""

    _times = frozenset({"at"})

    task_id: str
    sequence: int
    at: datetime
    findings: Sequence[Mapping[str, Any]]


Event: TypeAlias = Union[StatusEvent, ProgressEvent, TextEvent, FindingsEvent]

_EVENTS: dict[str, type[StatusEvent] | type[ProgressEvent] | type[TextEvent] | type[FindingsEvent]] = {
    "status": StatusEvent,
    "progress": ProgressEvent,
    "text": TextEvent,
    "findings": FindingsEvent,
}


def event_from_dict(data: Mapping[str, Any]) -> Event | None:
    """Reads an event; `None` for a type that this version does not know."""
    kind = _EVENTS.get(data["type"])
    return kind.from_dict(data) if kind else None


@dataclass(frozen=True)
class FeedEvent(Value):
    """Event of any task, with its position among all events and the owner of the task. `event` is `None` for a type that
    this version does not know."""

    position: str
    owner: str | None
    event: Event | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict({**data, "event": event_from_dict(data["event"])})


@dataclass(frozen=True)
class AgentMessage(Value):
    """A message between the agent of a task and the agent of one of its children."""

    _times = frozenset({"timestamp"})

    id: str
    source: str
    target: str
    task_id: str
    correlation_id: str
    type: str
    payload: Any
    timestamp: datetime


@dataclass(frozen=True)
class TaskDefaults(Value):
    """Settings of an agent's tasks whose requests leave them out."""

    priority: int = 5
    timeout_seconds: int = 300
    max_attempts: int = 3


@dataclass(frozen=True)
class AgentInfo(Value):
    """An agent as it describes itself, and whether any process runs its tasks."""

    _times = frozenset({"last_seen_at"})

    name: str
    description: str
    capabilities: Sequence[str]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None = None
    defaults: TaskDefaults = field(default_factory=TaskDefaults)
    online: bool | None = None
    last_seen_at: datetime | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict({**data, "defaults": TaskDefaults.from_dict(data.get("defaults", {}))})


@dataclass(frozen=True)
class TaskCount(Value):
    """Number of tasks of one agent in one status."""

    agent: str
    status: Status
    count: int


@dataclass(frozen=True)
class Backlog(Value):
    """Pending tasks of all agents: how many, and the due time of the one that has waited longest; `None` if none is due."""

    _times = frozenset({"oldest"})

    tasks: int
    oldest: datetime | None = None


@dataclass(frozen=True)
class Health(Value):
    """State of the engine: `healthy`, `degraded` or `unhealthy`, and the outcome of each check."""

    status: Literal["healthy", "degraded", "unhealthy"]
    checks: Mapping[str, str]


@dataclass(frozen=True)
class Schedule(Value):
    """A stored schedule: the task that it submits, and when."""

    _times = frozenset({"next_run_at", "last_run_at", "created_at", "updated_at"})

    id: str
    name: str
    agent: str
    payload: Any
    priority: int
    cron: str
    time_zone: str
    missed: MissedRuns
    overlap: Overlap
    enabled: bool
    next_run_at: datetime | None
    last_run_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class MetricPoint(Value):
    """Mean, minimum and maximum of the samples of a series from one time on."""

    _times = frozenset({"at"})

    at: datetime
    mean: float
    min: float
    max: float


@dataclass(frozen=True)
class Missing(Value):
    """A section that could not be measured, with the reason. It is false where a measured section is true."""

    reason: str

    def __bool__(self) -> bool:
        return False


Section: TypeAlias = Union[Mapping[str, Any], Missing]


def _section(data: Mapping[str, Any]) -> Any:
    return data["value"] if data["status"] == "present" else Missing(data["reason"])


@dataclass(frozen=True)
class Snapshot(Value):
    """Measurements of this machine at one time. Each section has its values as JSON, or is `Missing`."""

    taken_at: datetime
    host: Section
    pressure: Section
    cgroup: Section
    containers: Section
    gpus: Sequence[Mapping[str, Any]] | Missing
    custom: Mapping[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        sections = {name: _section(data[name]) for name in ("host", "pressure", "cgroup", "containers", "gpus")}
        custom = {name: _section(value) for name, value in data["custom"].items()}
        return cls(taken_at=time_of(data["taken_at"]), custom=custom, **sections)

    def to_dict(self) -> dict[str, Any]:
        def written(section: Any) -> dict[str, Any]:
            if isinstance(section, Missing):
                return {"status": "missing", "reason": section.reason}
            return {"status": "present", "value": section}

        sections = {name: written(getattr(self, name)) for name in ("host", "pressure", "cgroup", "containers", "gpus")}
        custom = {name: written(value) for name, value in self.custom.items()}
        return {"taken_at": text_of(self.taken_at), **sections, "custom": custom}

    def _repr_html_(self) -> str:
        return _html.snapshot(self)


@dataclass(frozen=True)
class Finding(Value):
    """A problem that a rule found, with the values that show it and what helps against it."""

    id: str
    rule: str
    severity: str
    resource: str
    summary: str
    evidence: Sequence[Mapping[str, Any]]
    remedies: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Recommendation(Value):
    """What to do about a finding: a text, who wrote it, and commands."""

    finding_id: str
    severity: str
    resource: str
    text: str
    text_by: str
    commands: Sequence[str]


@dataclass(frozen=True)
class Analysis(Value):
    """Report of an analysis of this machine."""

    host: str
    metrics: Snapshot
    findings: Sequence[Finding]
    checked: Sequence[Mapping[str, Any]]
    recommendations: Sequence[Recommendation]
    priority_level: Literal["low", "medium", "high", "critical"]
    generated_by: str
    model: Mapping[str, Any] | None
    degraded: str | None
    summary: str
    grounding: Mapping[str, Any]
    generated_at: datetime
    notes: Sequence[str] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        parts: dict[str, Any] = {
            "metrics": Snapshot.from_dict(data["metrics"]),
            "findings": tuple(Finding.from_dict(finding) for finding in data["findings"]),
            "recommendations": tuple(Recommendation.from_dict(text) for text in data["recommendations"]),
            "generated_at": time_of(data["generated_at"]),
        }
        return super().from_dict({**data, **parts})

    def _repr_html_(self) -> str:
        return _html.analysis(self)
