"""Serves own model backends and metric sources: functions on threads, coroutines on the event loop of the agents."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import re
import threading
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, Union

from typing_extensions import TypeAlias

from ._bridge import awaited
from ._runner import failure_of
from ._sutazai import PortCall, Queue
from .backends import AsyncMetricSource, AsyncModelBackend, MetricSource, ModelBackend
from .errors import Error, InternalError, InvalidInputError, NotFoundError
from .model_types import ModelInfo, ModelRequest, Usage

logger = logging.getLogger("sutazai.ports")

# Threads that serve functions; an agent that waits for its model must not occupy the thread which its model needs.
THREADS = 4
BUILT_IN_SECTIONS = frozenset({"host", "pressure", "cgroup", "containers", "gpus"})
CONSTRAINTS = frozenset({"json_schema", "grammar"})

OwnBackend: TypeAlias = Union[ModelBackend, AsyncModelBackend]
OwnSource: TypeAlias = Union[MetricSource, AsyncMetricSource]


class Ports:
    """Own model backends, with their positions in the order of preference, and own metric sources of one engine."""

    def __init__(self, backends: Iterable[tuple[int, OwnBackend]], sources: Iterable[OwnSource]) -> None:
        self._objects: list[Any] = []
        self._context = contextvars.copy_context()
        self._started: list[threading.Thread] = []
        self.threads, self.listings = Queue(), Queue()
        self.backend_declarations = [self._backend(position, backend) for position, backend in backends]
        self.source_declarations = [self._source(source) for source in sources]
        names = [source["name"] for source in self.source_declarations]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InvalidInputError(f"expected different names, got {twice!r} twice", field="metric_sources")

    def _add(self, made: Any) -> int:
        self._objects.append(made)
        return len(self._objects) - 1

    def _backend(self, position: int, backend: OwnBackend) -> dict[str, Any]:
        base: Any = AsyncModelBackend if isinstance(backend, AsyncModelBackend) else ModelBackend
        own = type(backend)
        if unknown := frozenset(backend.constraints) - CONSTRAINTS:
            expected = f"expected constraints among json_schema and grammar, got {', '.join(sorted(unknown))}"
            raise InvalidInputError(f"{_name(backend)}: {expected}", field="models")
        if backend.slots is not None and backend.slots < 1:
            raise InvalidInputError(f"{_name(backend)}: expected at least one slot, got {backend.slots}", field="models")
        return {
            "position": position,
            "object": self._add(backend),
            "name": _name(backend),
            "constraints": sorted(backend.constraints),
            "slots": backend.slots,
            "embeds": own.embed is not base.embed,
            "writes": own.generate is not base.generate,
            "is_async": isinstance(backend, AsyncModelBackend),
        }

    def _source(self, source: OwnSource) -> dict[str, Any]:
        name = _name(source)
        if not re.fullmatch("[a-z][a-z0-9_]*", name) or name in BUILT_IN_SECTIONS:
            expected = "expected a name in snake case that is none of a built-in section"
            raise InvalidInputError(f"{expected}, got {name!r}", field="metric_sources")
        return {
            "object": self._add(source),
            "name": name,
            "is_async": isinstance(source, AsyncMetricSource),
        }

    @property
    def has_async(self) -> bool:
        """Whether any object has coroutines."""
        return any(made["is_async"] for made in (*self.backend_declarations, *self.source_declarations))

    def start(self) -> None:
        """Starts the threads, if any object needs them."""
        if any(not made["is_async"] for made in (*self.backend_declarations, *self.source_declarations)):
            for number in range(THREADS + 1):
                queue = self.listings if number == THREADS else self.threads
                thread = threading.Thread(target=self._work, args=(queue,), name="sutazai-port", daemon=True)
                self._started.append(thread)
                thread.start()

    def _work(self, queue: Queue) -> None:
        while isinstance(call := queue.next(), PortCall):
            self._context.copy().run(self._serve, call)
            # Not kept while this thread waits for the next call.
            del call

    def _serve(self, call: PortCall) -> None:
        made = self._objects[call.object]
        try:
            if not call.is_dropped:
                call.finish(_answer(made, call))
        except BaseException as e:
            _fail(made, call, e)

    async def serve(self, call: PortCall) -> None:
        """Serves the call of a coroutine."""
        made = self._objects[call.object]
        try:
            if not call.is_dropped:
                call.finish(await _answer_async(made, call))
        except BaseException as e:
            _fail(made, call, e)
            if isinstance(e, (KeyboardInterrupt, SystemExit)):
                raise

    def close(self, join_timeout: float) -> None:
        """Ends the threads; one whose function does not return is left behind."""
        for queue in (self.threads, self.listings):
            queue.close()
        end = time.monotonic() + join_timeout
        for thread in self._started:
            thread.join(max(0.0, end - time.monotonic()))


def _name(made: Any) -> str:
    name = getattr(made, "name", None)
    if not isinstance(name, str) or not name:
        raise InvalidInputError(f"expected a text as {type(made).__qualname__}.name, got {name!r}", field="name")
    return name


def _fail(made: Any, call: PortCall, error: BaseException) -> None:
    is_dropped = call.is_dropped
    call.fail(json.dumps(failure_of(error, is_dropped)).encode())
    if not is_dropped and not isinstance(error, Error):
        logger.warning("%s failed", call.method, exc_info=error, extra={"object": made.name})


def _answer(made: Any, call: PortCall) -> bytes:
    """Runs the method of a call and returns its result."""
    if call.method == "collect":
        return json.dumps(made.collect(), allow_nan=False).encode()
    models = _models(made, made.models())
    if call.method == "models":
        return _listing(models)
    body = json.loads(call.body)
    model = _model(made, models, body["model"])
    if call.method == "embed":
        return _vectors(model, made.embed(body["texts"], model))
    usage = _LastUsage(made.name)
    answer = made.generate(ModelRequest.from_dict({**body, "model": model}))
    try:
        for piece in answer:
            if usage.is_text(piece) and not call.send(piece):
                break
    finally:
        # A generator has it; another iterator may not.
        getattr(answer, "close", _nothing)()
    return usage.written(call.is_dropped)


async def _answer_async(made: Any, call: PortCall) -> bytes:
    """Runs the coroutine of a call and returns its result."""
    if call.method == "collect":
        return json.dumps(await made.collect(), allow_nan=False).encode()
    models = _models(made, await made.models())
    if call.method == "models":
        return _listing(models)
    body = json.loads(call.body)
    model = _model(made, models, body["model"])
    if call.method == "embed":
        return _vectors(model, await made.embed(body["texts"], model))
    usage = _LastUsage(made.name)
    answer = made.generate(ModelRequest.from_dict({**body, "model": model}))
    try:
        async for piece in answer:
            if usage.is_text(piece) and not call.try_send(piece):
                await _send(call, piece)
            if call.is_dropped:
                break
    finally:
        await getattr(answer, "aclose", _nothing_async)()
    return usage.written(call.is_dropped)


async def _send(call: PortCall, piece: str) -> None:
    """Waits until there is room for a piece."""
    await awaited(lambda queue, token: call.begin_send(queue, token, piece))


def _nothing() -> None:
    pass


async def _nothing_async() -> None:
    await asyncio.sleep(0)


def _models(backend: Any, models: Sequence[ModelInfo]) -> list[ModelInfo]:
    own: Any = backend.__class__
    is_embedder = own.generate in (ModelBackend.generate, AsyncModelBackend.generate)
    purpose: Literal["embed"] | None = "embed" if is_embedder else None
    return [replace(model, backend=backend.name, purpose=model.purpose or purpose) for model in models]


def _listing(models: Sequence[ModelInfo]) -> bytes:
    return json.dumps([model.to_dict() for model in models]).encode()


def _model(backend: Any, models: Sequence[ModelInfo], wanted: str | None) -> str:
    """Returns the model of a request, the first one if it names none."""
    names = [model.name for model in models]
    if wanted is None and names:
        return names[0]
    if wanted not in names:
        raise NotFoundError(f"no model {wanted or 'at all'}: {backend.name} has {', '.join(names) or 'none'}")
    return wanted


def _vectors(model: str, vectors: Sequence[Sequence[float]]) -> bytes:
    """Writes embeddings: a line of JSON, and behind it the vectors, one after another, as `float32`."""
    rows = [array("f", vector) for vector in vectors]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise InternalError(f"expected vectors of the same length, got lengths {sorted(lengths)}")
    header = json.dumps({"model": model, "dimensions": lengths.pop() if lengths else 0}).encode()
    return header + b"\n" + b"".join(row.tobytes() for row in rows)


class _LastUsage:
    """Checks that an answer is texts and then exactly one usage."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._usage: Usage | None = None

    def is_text(self, piece: object) -> bool:
        """Returns whether this is a text that is not empty, and keeps a usage."""
        if self._usage is not None:
            raise InternalError(f"expected nothing behind the Usage, {self._backend} yielded {piece!r}")
        if isinstance(piece, Usage):
            self._usage = piece
            return False
        if not isinstance(piece, str):
            raise InternalError(f"expected a text or a Usage, {self._backend} yielded {piece!r}")
        return bool(piece)

    def written(self, is_dropped: bool) -> bytes:
        """Returns the usage as JSON; nothing if nobody reads it."""
        if is_dropped:
            return b""
        if self._usage is None:
            raise InternalError(f"expected a Usage at the end, {self._backend} yielded none")
        return json.dumps({**self._usage.to_dict(), "backend": self._backend}).encode()
