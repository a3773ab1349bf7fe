"""Exceptions: one for each kind of error, with the builtin exception that Python programs expect as a further base."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from ._sutazai import ForkedError

if TYPE_CHECKING:
    from .types import TaskError, TaskInfo

__all__ = [
    "BusyError",
    "CancelledError",
    "ClosedError",
    "ConflictError",
    "ContextLengthError",
    "Error",
    "ForbiddenError",
    "ForkedError",
    "InternalError",
    "InvalidInputError",
    "MisfitError",
    "NotFoundError",
    "RateLimitedError",
    "TaskCancelledError",
    "TaskFailedError",
    "TimedOutError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
]


class Error(Exception):
    """Failure of a call. An agent may raise one of its subclasses to choose the kind of its failure."""

    kind: ClassVar[str] = "internal"
    message: str
    field: str | None
    retry_after: float | None

    def __init__(self, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"field": self.field, "retry_after": self.retry_after}
        return type(self), (self.message,), state


class InvalidInputError(Error, ValueError):
    """The input is invalid; `field` names it."""

    kind = "invalid_input"


class ContextLengthError(Error, ValueError):
    """The messages or texts exceed the context of the model."""

    kind = "context_length_exceeded"


class NotFoundError(Error, LookupError):
    """The object does not exist."""

    kind = "not_found"


class ConflictError(Error):
    """The current state forbids the call, such as the cancellation of a task that has ended."""

    kind = "conflict"


class UnauthenticatedError(Error):
    """The credentials are missing, invalid or expired."""

    kind = "unauthenticated"


class ForbiddenError(Error, PermissionError):
    """The caller lacks the permission."""

    kind = "forbidden"


class RateLimitedError(Error):
    """A rate limit was exceeded; `retry_after` says when to call again."""

    kind = "rate_limited"


class BusyError(Error):
    """A capacity limit is reached at the moment."""

    kind = "busy"


class UnavailableError(Error, ConnectionError):
    """A dependency, such as the database or a model server, cannot be reached now."""

    kind = "unavailable"


class TimedOutError(Error, TimeoutError):
    """A time limit was exceeded."""

    kind = "timeout"


class MisfitError(Error, ValueError):
    """The answer of a model violates the requested constraint."""

    kind = "misfit"


class CancelledError(Error):
    """The work was cancelled on request. It is not the exception of asyncio with this name."""

    kind = "cancelled"


class UnsupportedError(Error, NotImplementedError):
    """The operation is not supported here."""

    kind = "unsupported"


class InternalError(Error, RuntimeError):
    """A bug or an unexpected condition of the engine or of an agent."""

    kind = "internal"


class ClosedError(RuntimeError):
    """Use of an engine that is not open."""


class TaskFailedError(Error):
    """The task failed after its last attempt. The exception of the agent is the cause if it ran in this process."""

    task: TaskInfo
    error: TaskError

    def __init__(self, task: TaskInfo) -> None:
        from .types import TaskError

        self.task = task
        self.error = task.error or TaskError(kind="internal", message="no error is stored")
        super().__init__(f"task {task.id} of {task.agent} failed: {self.error.message}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task,)


class TaskCancelledError(Error):
    """The task was cancelled."""

    task: TaskInfo

    def __init__(self, task: TaskInfo) -> None:
        self.task = task
        super().__init__(f"task {task.id} of {task.agent} was cancelled")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task,)


BY_KIND: dict[str, type[Error]] = {
    error.kind: error
    for error in (
        InvalidInputError,
        ContextLengthError,
        NotFoundError,
        ConflictError,
        UnauthenticatedError,
        ForbiddenError,
        RateLimitedError,
        BusyError,
        UnavailableError,
        TimedOutError,
        MisfitError,
        CancelledError,
        UnsupportedError,
        InternalError,
    )
}


class _Cause(Exception):
    """Underlying error of the engine, as text."""


def from_json(failure: bytes) -> Exception:
    """Returns the exception of a failed request."""
    from .types import TaskInfo

    error = json.loads(failure)
    kind, message = error["kind"], error["message"]
    if kind == "closed":
        return ClosedError(message)
    if kind == "task_failed":
        return TaskFailedError(TaskInfo.from_dict(error["task"]))
    if kind == "task_cancelled":
        return TaskCancelledError(TaskInfo.from_dict(error["task"]))
    if error.get("detail"):
        message = f"{message}: {error['detail']}"
    made = BY_KIND.get(kind, InternalError)(message, field=error["field"], retry_after=error["retry_after"])
    outer: Exception = made
    for text in error.get("causes", ()):
        outer.__cause__ = _Cause(text)
        outer = outer.__cause__
    return made
