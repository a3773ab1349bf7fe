"""Own model backends and metric sources: bases of classes whose methods the engine calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal

from typing_extensions import TypeAlias

from .errors import UnsupportedError
from .model_types import ModelInfo, ModelRequest, Usage
from .types import JsonIn

ConstraintKind: TypeAlias = Literal["json_schema", "grammar"]


class ModelBackend(ABC):
    """A backend that runs language models, with functions that threads of the engine call.

    A class has `models`, and `generate`, `embed` or both. Requests name one of the models; the engine rejects others, enforces
    their time limit, and checks texts against a JSON Schema. The errors of this package keep their kind; `TimeoutError` and
    `ConnectionError` count as passing, and the engine tries its next backend.
    """

    name: str
    """Name of the backend, as answers and lists of models have it."""
    constraints: frozenset[ConstraintKind] = frozenset()
    """Kinds of constraints that `generate` enforces; the engine rejects requests with others."""
    slots: int | None = None
    """Number of requests at once; more of them wait. At most four run at once over all backends."""

    @abstractmethod
    def models(self) -> Sequence[ModelInfo]:
        """Lists the models, the preferred one first."""

    def generate(self, request: ModelRequest) -> Iterator[str | Usage]:
        """Yields the pieces of an answer of at most `max_tokens` tokens, and then exactly one `Usage`. The iterator is closed
        when nobody reads the answer any more."""
        raise UnsupportedError(f"{self.name} writes no texts")

    def embed(self, texts: Sequence[str], model: str) -> Sequence[Sequence[float]]:
        """Returns a vector for each text, all of the same length."""
        raise UnsupportedError(f"{self.name} makes no embeddings")


class AsyncModelBackend(ABC):
    """A backend as `ModelBackend` is, with coroutines that run on the event loop of the agents. A coroutine is cancelled
    when nobody waits for it any more."""

    name: str
    """Name of the backend, as answers and lists of models have it."""
    constraints: frozenset[ConstraintKind] = frozenset()
    """Kinds of constraints that `generate` enforces; the engine rejects requests with others."""
    slots: int | None = None
    """Number of requests at once; more of them wait."""

    @abstractmethod
    async def models(self) -> Sequence[ModelInfo]:
        """Lists the models, the preferred one first."""

    def generate(self, request: ModelRequest) -> AsyncIterator[str | Usage]:
        """Yields the pieces of an answer of at most `max_tokens` tokens, and then exactly one `Usage`."""
        raise UnsupportedError(f"{self.name} writes no texts")

    async def embed(self, texts: Sequence[str], model: str) -> Sequence[Sequence[float]]:
        """Returns a vector for each text, all of the same length."""
        raise UnsupportedError(f"{self.name} makes no embeddings")


class MetricSource(ABC):
    """A source of measurements, with a function that threads of the engine call. Its section of snapshots is
    `snapshot.custom[name]`, and the numbers in it are recorded as the series `custom.<name>.<property>`."""

    name: str
    """Name in snake case, such as `mail_queue`."""

    @abstractmethod
    def collect(self) -> JsonIn:
        """Measures within 3.5 s. Raises `UnavailableError` with the reason where there is nothing to measure, which is
        never 0."""


class AsyncMetricSource(ABC):
    """A source as `MetricSource` is, with a coroutine that runs on the event loop of the agents."""

    name: str
    """Name in snake case, such as `mail_queue`."""

    @abstractmethod
    async def collect(self) -> JsonIn:
        """Measures within 3.5 s. Raises `UnavailableError` with the reason where there is nothing to measure, which is
        never 0."""
