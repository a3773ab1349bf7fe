"""Documents of an engine: stored texts that can be searched."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any, List

from .._bridge import AsyncTransport, in_thread
from ..model_types import Chunk, Document, Passage
from .tasks import PAGE_SIZE, pages


class AsyncDocuments:
    """Documents of an engine. They are split into chunks, which a search finds by their words."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def add(
        self, source: str | os.PathLike[str] | bytes, /, *, title: str | None = None, media_type: str | None = None
    ) -> Document:
        """Stores a document: the file with this path, or the text with these bytes in UTF-8.

        The extension of a file decides on its type; bytes are `text/plain` unless `media_type` says `text/markdown` or
        `text/html`. The title is by default the name of the file.
        """
        if isinstance(source, bytes):
            name, content = None, source
        else:
            path = os.fspath(source)
            name, content = os.path.basename(path), await in_thread(lambda: _content_of(path))
        header: dict[str, Any] = {
            "title": title if title is not None else name or "",
            "name": name,
            "media_type": media_type if media_type or name else "text/plain",
        }
        return Document.from_dict(json.loads(await self._transport.call("documents.add", header, content)))

    async def list(self, *, limit: int | None = None) -> AsyncIterator[Document]:
        """Iterates over the documents, newest first, at most `limit` of them."""
        async for data in pages(self._transport, "documents.list", {}, limit):
            yield Document.from_dict(data)

    async def get(self, id: str, /) -> Document:
        """Returns the document with this id."""
        return Document.from_dict(json.loads(await self._transport.call("documents.get", {"id": id})))

    async def chunks(self, id: str, /, *, first: int = 0) -> AsyncIterator[Chunk]:
        """Iterates over the chunks of a document from this index on."""
        while True:
            body = {"id": id, "first": first, "limit": PAGE_SIZE}
            chunks = json.loads(await self._transport.call("documents.chunks", body))
            for data in chunks:
                yield Chunk.from_dict(data)
            first += len(chunks)
            if len(chunks) < PAGE_SIZE:
                return

    async def search(self, text: str, /, *, limit: int = 10) -> List[Passage]:
        """Returns the chunks that contain most of these words, best first; quotation marks make phrases."""
        passages = json.loads(await self._transport.call("documents.search", {"text": text, "limit": limit}))
        return [Passage.from_dict(passage) for passage in passages]

    async def delete(self, id: str, /) -> None:
        """Removes a document."""
        await self._transport.call("documents.delete", {"id": id})


def _content_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
