"""Language models of an engine: their answers and embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, List, TypeVar, overload

from typing_extensions import Unpack

from .._bridge import AsyncTransport
from ..model_types import (
    Completion,
    Embeddings,
    ModelInfo,
    Prompt,
    PullProgress,
    Sampling,
    Usage,
    generate_body,
    read_output,
)
from .items import AsyncItems

T = TypeVar("T")


class AsyncAnswer(AsyncItems[str]):
    """Answer of a model while it is written: an iterator over pieces of text.

    The model begins with the first read. Leaving the block stops it, and so does dropping the answer.
    """

    usage: Usage | None = None
    """Model, token counts and the reason of the end; `None` before the end."""

    async def _next(self) -> Any:
        data = await super()._next()
        if data is not None and "usage" in data:
            self.usage = data["usage"] and Usage.from_dict(data["usage"])
            self.close()
            return None
        return data

    def _read(self, data: Any) -> str:
        return str(data["text"])

    async def text(self) -> str:
        """Reads the rest of the answer and returns it."""
        return "".join([piece async for piece in self])


class AsyncPull(AsyncItems[PullProgress]):
    """Progress of a download; ends when the model is available."""

    def _read(self, data: Any) -> PullProgress:
        return PullProgress.from_dict(data)


class AsyncModel:
    """Model that an agent may use. The requests of an agent end when it is to stop."""

    def __init__(self, transport: AsyncTransport, call: int | None = None) -> None:
        self._transport = transport
        self._call = call

    @overload
    async def complete(self, prompt: Prompt, /, *, output: type[T], **sampling: Unpack[Sampling]) -> T: ...
    @overload
    async def complete(
        self, prompt: Prompt, /, *, grammar: str | None = ..., **sampling: Unpack[Sampling]
    ) -> Completion: ...
    async def complete(
        self, prompt: Prompt, /, *, output: Any = None, grammar: str | None = None, **sampling: Any
    ) -> Any:
        """Answers a prompt: a text, or a list of messages.

        With `output` the answer is a value of this type: the model can write nothing else than JSON that fits its schema.
        `MisfitError` is raised if the answer was cut by `max_tokens`. With `grammar`, in Lark notation, the text belongs to
        it. What `sampling` leaves out has the defaults of the engine: 512 tokens, temperature 0.7.
        """
        body = generate_body(self._call, prompt, output, grammar, sampling)
        completion = Completion.from_dict(json.loads(await self._transport.call("models.complete", body)))
        return completion if output is None else read_output(output, completion)

    def stream(
        self, prompt: Prompt, /, *, grammar: str | None = None, **sampling: Unpack[Sampling]
    ) -> AsyncAnswer:
        """Returns the answer to a prompt while the model writes it."""
        body = generate_body(self._call, prompt, None, grammar, sampling)
        return AsyncAnswer(self._transport, "models.stream", body)

    async def embed(self, texts: Sequence[str], /, *, model: str | None = None) -> Embeddings:
        """Computes a vector for each text: texts of similar meaning have vectors near each other."""
        body = {"call": self._call, "texts": list(texts), "model": model}
        return Embeddings.from_bytes(await self._transport.call("models.embed", body))


class AsyncModels(AsyncModel):
    """Models of an engine."""

    async def list(self) -> List[ModelInfo]:
        """Lists the models of all backends, in their order of preference."""
        return [ModelInfo.from_dict(model) for model in json.loads(await self._transport.call("models.list", {}))]

    async def load(self, model: str | None = None) -> None:
        """Loads a model, by default the default one, so that its first request need not wait."""
        await self._transport.call("models.load", {"model": model})

    def pull(self, model: str, /) -> AsyncPull:
        """Downloads a model that is not available yet, and returns its progress. Not every backend can."""
        return AsyncPull(self._transport, "models.pull", {"model": model})
