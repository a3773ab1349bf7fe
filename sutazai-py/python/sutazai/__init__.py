"""An embeddable, local-first engine for AI agent tasks.

    >>> import sutazai
    >>> @sutazai.agent
    ... def add(x: int, y: int) -> int:
    ...     return x + y
    >>> with sutazai.Engine(":memory:", agents=[add]) as engine:
    ...     engine.run(add.task(1, 2))
    3

Settings are environment variables, the same as those of the binary: DATABASE_URL, MODEL_BACKENDS, DEFAULT_MODEL.
"""

from __future__ import annotations

import json as _json
import warnings as _warnings

from . import _sutazai, metrics
from ._async.api import AsyncApi
from ._async.chat import AsyncChat, AsyncConversation
from ._async.client import AsyncClient
from ._async.context import AsyncContext
from ._async.documents import AsyncDocuments
from ._async.engine import AsyncEngine
from ._async.machine import AsyncMetrics, AsyncSchedules
from ._async.models import AsyncAnswer, AsyncModel, AsyncModels, AsyncPull
from ._async.serving import AsyncServing
from ._async.tasks import AsyncFeed, AsyncTask, AsyncTasks
from ._bridge import native as _native
from ._bridge import options_json as _options_json
from ._runner import ContextPair as _ContextPair
from ._runner import Interrupted
from ._runner import current_context as _current_context
from ._sutazai import __version__
from ._sync.api import Api
from ._sync.chat import Chat, Conversation
from ._sync.client import Client
from ._sync.context import Context
from ._sync.documents import Documents
from ._sync.engine import Engine
from ._sync.machine import Metrics, Schedules
from ._sync.models import Answer, Model, Models, Pull
from ._sync.serving import Serving
from ._sync.tasks import Feed, Task, Tasks
from .agents import Agent, AsyncAgent, NewTask, SyncAgent, agent
from .backends import AsyncMetricSource, AsyncModelBackend, MetricSource, ModelBackend
from .errors import (
    BusyError,
    CancelledError,
    ClosedError,
    ConflictError,
    ContextLengthError,
    Error,
    ForbiddenError,
    ForkedError,
    InternalError,
    InvalidInputError,
    MisfitError,
    NotFoundError,
    RateLimitedError,
    TaskCancelledError,
    TaskFailedError,
    TimedOutError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from .model_types import (
    Chunk,
    Completion,
    ConversationInfo,
    Document,
    Embeddings,
    Message,
    ModelInfo,
    ModelRequest,
    Passage,
    Prompt,
    PullProgress,
    Sampling,
    StoredMessage,
    Usage,
)
from .server import Server
from .types import (
    AgentInfo,
    AgentMessage,
    Analysis,
    Backlog,
    Event,
    FeedEvent,
    Finding,
    FindingsEvent,
    Health,
    JsonIn,
    MetricPoint,
    Missing,
    ProgressEvent,
    Recommendation,
    Schedule,
    Seconds,
    Snapshot,
    Status,
    StatusEvent,
    TaskCount,
    TaskDefaults,
    TaskError,
    TaskInfo,
    TextEvent,
)


def analyze(*, use_model: bool = True) -> Analysis:
    """Analyzes this machine without an engine.

    With `use_model` false, when no backend is configured, or when the model was not measured by `sutazai models check`, the
    rules write the texts. Raises `Error` naming the invalid setting or the unreachable service.
    """
    options = _options_json(None, {}, True)
    return Analysis.from_dict(_json.loads(_native(_sutazai.analyze, options, use_model)))


def current() -> Context:
    """Returns the context of the function that runs here as an agent."""
    context = _current_context.get(None)
    if isinstance(context, _ContextPair):
        context = context.function
    if not isinstance(context, Context):
        raise RuntimeError("no function runs here as an agent; coroutines use `current_async()`")
    return context


def current_async() -> AsyncContext:
    """Returns the context of the coroutine that runs here as an agent."""
    context = _current_context.get(None)
    if isinstance(context, _ContextPair):
        context = context.coroutine
    if not isinstance(context, AsyncContext):
        raise RuntimeError("no coroutine runs here as an agent; functions use `current()`")
    return context


if _sutazai.IS_DEBUG_BUILD:
    _warnings.warn("this is a debug build of sutazai: it is slow", RuntimeWarning, stacklevel=2)

__all__ = [
    "Agent",
    "AgentInfo",
    "AgentMessage",
    "Analysis",
    "Answer",
    "Api",
    "AsyncAgent",
    "AsyncAnswer",
    "AsyncApi",
    "AsyncChat",
    "AsyncClient",
    "AsyncContext",
    "AsyncConversation",
    "AsyncDocuments",
    "AsyncEngine",
    "AsyncFeed",
    "AsyncMetricSource",
    "AsyncMetrics",
    "AsyncModel",
    "AsyncModelBackend",
    "AsyncModels",
    "AsyncPull",
    "AsyncSchedules",
    "AsyncServing",
    "AsyncTask",
    "AsyncTasks",
    "Backlog",
    "BusyError",
    "CancelledError",
    "Chat",
    "Chunk",
    "Client",
    "ClosedError",
    "Completion",
    "ConflictError",
    "Context",
    "ContextLengthError",
    "Conversation",
    "ConversationInfo",
    "Document",
    "Documents",
    "Embeddings",
    "Engine",
    "Error",
    "Event",
    "Feed",
    "FeedEvent",
    "Finding",
    "FindingsEvent",
    "ForbiddenError",
    "ForkedError",
    "Health",
    "InternalError",
    "Interrupted",
    "InvalidInputError",
    "JsonIn",
    "Message",
    "MetricPoint",
    "MetricSource",
    "Metrics",
    "MisfitError",
    "Missing",
    "Model",
    "ModelBackend",
    "ModelInfo",
    "ModelRequest",
    "Models",
    "NewTask",
    "NotFoundError",
    "Passage",
    "ProgressEvent",
    "Prompt",
    "Pull",
    "PullProgress",
    "RateLimitedError",
    "Recommendation",
    "Sampling",
    "Schedule",
    "Schedules",
    "Seconds",
    "Server",
    "Serving",
    "Snapshot",
    "Status",
    "StatusEvent",
    "StoredMessage",
    "SyncAgent",
    "Task",
    "TaskCancelledError",
    "TaskCount",
    "TaskDefaults",
    "TaskError",
    "TaskFailedError",
    "TaskInfo",
    "Tasks",
    "TextEvent",
    "TimedOutError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "Usage",
    "__version__",
    "agent",
    "analyze",
    "current",
    "current_async",
    "metrics",
]
