"""Values of models, conversations and documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Union, overload

from typing_extensions import Self, TypeAlias, TypedDict

from .errors import MisfitError
from .types import Seconds, Value, seconds_of

Role: TypeAlias = Literal["system", "user", "assistant"]
# Only type checkers know that a buffer has items of a type.
if TYPE_CHECKING:
    Vector: TypeAlias = memoryview[float]
else:
    Vector = memoryview


@dataclass(frozen=True)
class Message(Value):
    """One message of a conversation: its author and its text."""

    role: Role
    content: str


Prompt: TypeAlias = Union[str, Sequence[Message]]


class Sampling(TypedDict, total=False):
    """Options of an answer; what is left out has the default of the engine."""

    model: str
    max_tokens: int
    temperature: float
    top_p: float
    repeat_penalty: float
    seed: int
    stop: Sequence[str]
    timeout: Seconds


@dataclass(frozen=True, kw_only=True)
class Usage(Value):
    """Model that wrote an answer, its token counts, and why the answer ended. The engine sets `backend`."""

    backend: str = ""
    model: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: Literal["stop", "length", "content_filter"]
    refusal: str | None = None
    degraded: str | None = None
    fluency: float | None = None


@dataclass(frozen=True)
class Completion(Value):
    """Whole answer of a model."""

    text: str
    usage: Usage

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(text=data["text"], usage=Usage.from_dict(data["usage"]))


@dataclass(frozen=True)
class ModelRequest(Value):
    """A request as a model receives it."""

    model: str | None
    messages: Sequence[Message]
    max_tokens: int
    temperature: float | None
    stop: Sequence[str]
    constraint: Mapping[str, Any] | None
    top_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    timeout: float | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        messages = tuple(Message.from_dict(message) for message in data["messages"])
        return super().from_dict({**data, "messages": messages})

    @property
    def json_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema that the answer must conform to."""
        return (self.constraint or {}).get("json_schema")

    @property
    def grammar(self) -> str | None:
        """Grammar in Lark notation that the answer must belong to."""
        return (self.constraint or {}).get("grammar")


@dataclass(frozen=True)
class ModelInfo(Value):
    """A model that a backend has available. The engine sets the `backend` of own ones."""

    name: str
    backend: str = ""
    size_bytes: int | None = None
    parameters: int | None = None
    context_length: int | None = None
    purpose: Literal["write", "embed"] | None = None
    digest: str | None = None
    process: Mapping[str, Any] | None = None
    note: str | None = None


@dataclass(frozen=True)
class PullProgress(Value):
    """Progress of the download of a model."""

    status: str
    completed_bytes: int | None = None
    total_bytes: int | None = None


class Embeddings(Sequence[Vector]):
    """Vectors of texts, in their order. `numpy.asarray(embeddings.matrix)` is an array over the same memory."""

    def __init__(self, backend: str, model: str, prompt_tokens: int | None, dimensions: int, values: bytes) -> None:
        self.backend = backend
        self.model = model
        self.prompt_tokens = prompt_tokens
        self.dimensions = dimensions
        self._values = memoryview(values)

    @classmethod
    def from_bytes(cls, answer: bytes) -> Self:
        """Reads the answer of the engine: a line of JSON, and the values behind it."""
        header, _, values = answer.partition(b"\n")
        return cls(values=values, **json.loads(header))

    @property
    def matrix(self) -> Vector:
        """All vectors as a buffer of `float32` with one row for each text."""
        return self._values.cast("f", (len(self), self.dimensions)) if len(self) else self._values.cast("f")

    def __len__(self) -> int:
        return len(self._values) // (4 * self.dimensions) if self.dimensions else 0

    @overload
    def __getitem__(self, index: int) -> Vector: ...
    @overload
    def __getitem__(self, index: slice) -> list[Vector]: ...
    def __getitem__(self, index: int | slice) -> Vector | list[Vector]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        size = 4 * self.dimensions
        return self._values[number * size : (number + 1) * size].cast("f")

    def __repr__(self) -> str:
        return f"<Embeddings of {self.model}: {len(self)} × {self.dimensions}>"


@dataclass(frozen=True)
class Document(Value):
    """A stored document, without its text."""

    _times = frozenset({"created_at"})

    id: str
    title: str
    media_type: str
    size_bytes: int
    chunks: int
    created_at: datetime


@dataclass(frozen=True)
class Chunk(Value):
    """A piece of the text of a document, with the positions of its characters there."""

    document_id: str
    index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Passage(Value):
    """A chunk that a search found. Scores are comparable within one search only; larger is better."""

    title: str
    score: float
    chunk: Chunk

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict({**data, "chunk": Chunk.from_dict(data["chunk"])})


@dataclass(frozen=True)
class ConversationInfo(Value):
    """A stored conversation, without its messages."""

    _times = frozenset({"created_at", "updated_at"})

    id: str
    title: str
    model: str | None
    system: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class StoredMessage(Value):
    """A message of a stored conversation. `cut` says that an answer is incomplete."""

    _times = frozenset({"created_at"})

    id: str
    role: Role
    content: str
    created_at: datetime
    cut: bool
    usage: Usage | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        usage = data.get("usage")
        return super().from_dict({**data, "usage": usage and Usage.from_dict(usage)})


def generate_body(
    call: int | None, prompt: Prompt, output: Any, grammar: str | None, sampling: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the request for an answer."""
    if output is not None and grammar is not None:
        raise TypeError("expected an output type or a grammar, got both")
    unknown = sampling.keys() - Sampling.__annotations__.keys()
    if unknown:
        raise TypeError(f"expected options of sampling, got {', '.join(sorted(unknown))}")
    messages = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
    body: dict[str, Any] = {**sampling, "call": call, "messages": [message.to_dict() for message in messages]}
    if "timeout" in body:
        body["timeout"] = seconds_of(body["timeout"])
    if output is not None:
        from pydantic import TypeAdapter

        body["constraint"] = {"json_schema": TypeAdapter(output).json_schema()}
    elif grammar is not None:
        body["constraint"] = {"grammar": grammar}
    return body


def read_output(output: Any, completion: Completion) -> Any:
    """Reads a value of this type from an answer."""
    from pydantic import TypeAdapter, ValidationError

    usage = completion.usage
    if usage.refusal is not None:
        raise MisfitError(f"the model refused to answer: {usage.refusal}")
    if usage.finish_reason != "stop":
        why = f"the answer was cut after {usage.completion_tokens} tokens ({usage.finish_reason})"
        raise MisfitError(f"{why}; expected a whole value, which a larger max_tokens may leave room for")
    try:
        return TypeAdapter(output).validate_json(completion.text)
    except ValidationError as e:
        # A type may demand more than a schema can say, such as the checks of a validator.
        raise MisfitError(f"the answer of the model does not fit {output!r}: {e}") from e
