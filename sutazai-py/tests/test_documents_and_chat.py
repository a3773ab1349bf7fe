"""Documents and stored conversations over both kinds of database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import sutazai

MODEL = os.environ["SUTAZAI_TEST_MODEL"]


@pytest.fixture
def engine(database: str) -> Iterator[sutazai.Engine]:
    with sutazai.Engine(database, models=[MODEL]) as engine:
        yield engine


def test_document_is_stored_found_and_deleted(engine: sutazai.Engine, tmp_path: Path) -> None:
    page = tmp_path / "handbook.md"
    page.write_text("# Leases\n\nA dead worker loses its lease after ten seconds.", "utf-8")
    document = engine.documents.add(page)
    assert (document.title, document.media_type, document.chunks) == ("handbook.md", "text/markdown", 1)
    assert document.size_bytes == page.stat().st_size and engine.documents.get(document.id) == document
    other = engine.documents.add("Grüße aus Köln".encode(), title="Letter")
    assert [found.id for found in engine.documents.list()] == [other.id, document.id]
    (passage,) = engine.documents.search('"dead worker"')
    assert passage.title == "handbook.md" and passage.score > 0 and "ten seconds" in passage.chunk.text
    assert engine.documents.search("köln")[0].chunk.document_id == other.id
    engine.documents.delete(document.id)
    assert engine.documents.search('"dead worker"') == []
    with pytest.raises(sutazai.NotFoundError):
        engine.documents.get(document.id)


def test_chunks_of_a_long_document_cover_its_text(engine: sutazai.Engine) -> None:
    text = " ".join(f"word{number}" for number in range(40_000))
    document = engine.documents.add(text.encode())
    chunks = list(engine.documents.chunks(document.id))
    assert document.chunks == len(chunks) > 100
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert [chunk.index for chunk in engine.documents.chunks(document.id, first=len(chunks) - 2)] == [
        len(chunks) - 2,
        len(chunks) - 1,
    ]


def test_unsuitable_files_are_rejected(engine: sutazai.Engine, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\n\x00")
    with pytest.raises(sutazai.InvalidInputError, match="got a file called"):
        engine.documents.add(picture)
    with pytest.raises(FileNotFoundError):
        engine.documents.add(tmp_path / "missing.txt")


def test_conversation_keeps_its_messages(engine: sutazai.Engine) -> None:
    conversation = engine.chat.begin(title="Numbers", system="Answer briefly.")
    with conversation.say("Count to three.", max_tokens=6) as answer:
        text = answer.text()
    assert text and answer.usage is not None and answer.usage.completion_tokens <= 6
    said, answered = conversation.messages()
    assert (said.role, said.content, said.usage) == ("user", "Count to three.", None)
    assert (answered.role, answered.content, answered.cut) == ("assistant", text, False)
    assert answered.usage == answer.usage
    assert [found.title for found in engine.chat.list()] == ["Numbers"]
    info = engine.chat.get(conversation.id).info()
    assert info.system == "Answer briefly." and info.updated_at >= info.created_at
    other = conversation.ask_again(max_tokens=3).text()
    assert [message.content for message in conversation.messages()] == ["Count to three.", text, other]
    assert conversation.rename("Three").title == "Three" == conversation.info().title
    conversation.delete()
    with pytest.raises(sutazai.NotFoundError):
        conversation.info()
    with pytest.raises(sutazai.NotFoundError):
        conversation.say("Hello?").text()


def test_documents_and_chat_from_an_event_loop(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("The key is under the mat.", "utf-8")

    async def main() -> None:
        async with sutazai.AsyncEngine(":memory:", models=[MODEL]) as engine:
            document = await engine.documents.add(tmp_path / "note.txt")
            assert [chunk.text async for chunk in engine.documents.chunks(document.id)] == ["The key is under the mat."]
            conversation = await engine.chat.begin()
            async with conversation.say("Count.", max_tokens=3) as answer:
                pieces = [piece async for piece in answer]
            contents = [message.content async for message in conversation.messages()]
            assert contents == ["Count.", "".join(pieces)]

    asyncio.run(main())


def test_conversations_are_listed_over_several_pages(engine: sutazai.Engine) -> None:
    begun = [engine.chat.begin(title=str(number)).id for number in range(102)]
    assert [found.id for found in engine.chat.list()] == begun[::-1]
    assert [found.title for found in engine.chat.list(limit=2)] == ["101", "100"]
