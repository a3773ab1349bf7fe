"""Stored conversations with a model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from .._bridge import AsyncTransport
from ..model_types import ConversationInfo, StoredMessage
from .models import AsyncAnswer
from .tasks import pages


class AsyncConversation:
    """Handle of a stored conversation."""

    id: str

    def __init__(self, transport: AsyncTransport, id: str) -> None:
        self.id = id
        self._transport = transport

    async def info(self) -> ConversationInfo:
        """Returns the conversation as it is stored now."""
        return ConversationInfo.from_dict(json.loads(await self._transport.call("chat.get", {"id": self.id})))

    def say(self, text: str, /, *, max_tokens: int = 512, temperature: float = 0.7) -> AsyncAnswer:
        """Says something to the model and returns its answer, which sees the messages before it. Both are stored when the
        answer is read; an answer that is not read to its end is stored as far as it was written."""
        body = {"id": self.id, "text": text, "max_tokens": max_tokens, "temperature": temperature}
        return AsyncAnswer(self._transport, "chat.say", body)

    def ask_again(self, *, max_tokens: int = 512, temperature: float = 0.7) -> AsyncAnswer:
        """Returns another answer to the latest message; both answers are stored."""
        body = {"id": self.id, "text": None, "max_tokens": max_tokens, "temperature": temperature}
        return AsyncAnswer(self._transport, "chat.say", body)

    async def rename(self, title: str, /) -> ConversationInfo:
        """Changes the title."""
        body = {"id": self.id, "title": title}
        return ConversationInfo.from_dict(json.loads(await self._transport.call("chat.rename", body)))

    async def messages(self, *, limit: int | None = None) -> AsyncIterator[StoredMessage]:
        """Iterates over the messages, oldest first, at most `limit` of them."""
        async for data in pages(self._transport, "chat.messages", {"id": self.id}, limit):
            yield StoredMessage.from_dict(data)

    async def delete(self) -> None:
        """Removes the conversation with its messages."""
        await self._transport.call("chat.delete", {"id": self.id})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __reduce__(self) -> Any:
        raise TypeError("a conversation belongs to an engine of this process; send its id and use `chat.get` there")


class AsyncChat:
    """Stored conversations of an engine."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def begin(
        self, *, title: str = "", model: str | None = None, system: str | None = None
    ) -> AsyncConversation:
        """Begins a conversation with a model, by default the default one; `system` precedes all messages."""
        body = {"title": title, "model": model, "system": system}
        data = json.loads(await self._transport.call("chat.begin", body))
        return AsyncConversation(self._transport, data["id"])

    async def list(self, *, limit: int | None = None) -> AsyncIterator[ConversationInfo]:
        """Iterates over the conversations, newest first, at most `limit` of them."""
        async for data in pages(self._transport, "chat.list", {}, limit):
            yield ConversationInfo.from_dict(data)

    def get(self, id: str, /) -> AsyncConversation:
        """Returns a handle of the conversation with this id. Its methods check whether there is one."""
        return AsyncConversation(self._transport, id)
