"""The same requests of an engine and of a client, for threads and for event loops: the same results and the same errors."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from faces import FACES, Check, fails, first, items, of
from pydantic import BaseModel

import sutazai
from sutazai.testing import ScriptedModel

UNKNOWN = "0199f3c2-a1b4-7000-a1b2-c3d4e5f60718"
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Adds a check to those that run over each face."""
    CHECKS.append(function)
    return function


@sutazai.agent
def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


class Invoice(BaseModel):
    number: str
    lines: list[int]


@sutazai.agent
def doubled(invoice: Invoice, /) -> Invoice:
    return Invoice(number=invoice.number, lines=[2 * line for line in invoice.lines])


@sutazai.agent(max_attempts=1)
def refuse(reason: str) -> None:
    raise sutazai.InvalidInputError(reason)


@sutazai.agent(max_attempts=1)
def crash() -> None:
    raise LookupError("lost")


@sutazai.agent(timeout=timedelta(minutes=2), max_attempts=7, priority=8)
def patient() -> str:
    """Takes its time."""
    return "done"


@sutazai.agent
def steps(count: int) -> int:
    context = sutazai.current()
    for done in range(count):
        context.progress((done + 1) / count, f"step {done}")
    context.text("all done")
    return count


@sutazai.agent
def wait_for_ever() -> None:
    context = sutazai.current()
    while True:
        context.sleep(0.02)


@sutazai.agent
def add_up(pairs: list[tuple[int, int]]) -> int:
    context = sutazai.current()
    if not context.children:
        context.wait_for(*(add.task(x, y) for x, y in pairs))
    return sum(child.result for child in context.children)


AGENTS: list[sutazai.Agent[..., Any]] = [add, doubled, refuse, crash, patient, steps, wait_for_ever, add_up]


def model() -> ScriptedModel:
    return ScriptedModel("one two three four", '{"fruit": "pear", "count": 3}')


# ---- tasks


@check
async def typed_result_is_returned(api: Any) -> None:
    assert await of(api.run(add.task(1, 2), timeout=10)) == 3
    invoice = await of(api.run(doubled.task(Invoice(number="7", lines=[1, 2]))))
    assert invoice == Invoice(number="7", lines=[2, 4])


@check
async def task_by_name_is_plain_json(api: Any) -> None:
    task = await of(api.submit("doubled", {"number": "7", "lines": [1]}, priority=7, title="Doubled"))
    assert await of(task.result(10)) == {"number": "7", "lines": [2]}
    info = await of(task.info())
    assert (info.priority, info.title, info.agent) == (7, "Doubled", "doubled")


@check
async def options_of_a_task_are_stored(api: Any) -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    new = add.task(1, 1).but(
        title="One", description="More", priority=9, timeout=timedelta(minutes=2), max_attempts=5, run_at=later, unique_key="k"
    )
    info = await of((await of(api.submit(new))).info())
    assert (info.title, info.description, info.priority, info.timeout_seconds) == ("One", "More", 9, 120)
    assert (info.max_attempts, info.unique_key, info.status, info.payload) == (5, "k", "pending", {"x": 1, "y": 1})
    assert info.run_at == later.replace(microsecond=later.microsecond)
    assert info.owner is None and info.parent is None and not info.cancel_requested and not info.has_ended


@check
async def finished_task_has_its_times(api: Any) -> None:
    task = await of(api.submit(add.task(1, 2)))
    info = await of(task.wait(10))
    assert (info.status, info.result, info.attempt, info.failures) == ("completed", 3, 1, 0)
    assert info.took is not None and info.took >= timedelta(0) and info.error is None
    assert info.created_at <= info.started_at <= info.finished_at


@check
async def repeated_submission_with_a_key_is_one_task(api: Any) -> None:
    new = add.task(1, 2).but(idempotency_key="once")
    once, again = await of(api.submit(new)), await of(api.submit(new))
    assert once.id == again.id
    e = await fails(sutazai.ConflictError, lambda: api.submit(add.task(2, 2).but(idempotency_key="once")))
    assert e.field == "idempotency_key"


@check
async def many_tasks_are_submitted_in_order(api: Any) -> None:
    tasks = await of(api.submit_all([add.task(n, 1) for n in range(5)]))
    assert [await of(task.result(10)) for task in tasks] == [1, 2, 3, 4, 5]


@check
async def ended_tasks_are_awaited_together(api: Any) -> None:
    tasks = await of(api.submit_all([add.task(n, n) for n in range(10)]))
    infos = await of(api.tasks.wait_all(tasks, timeout=10))
    assert [info.id for info in infos] == [task.id for task in tasks]
    assert [info.result for info in infos] == [2 * n for n in range(10)]
    completed = await items(api.tasks.as_completed(tasks, timeout=10))
    assert {task.id for task in completed} == {task.id for task in tasks}


@check
async def failed_task_raises_its_error(api: Any) -> None:
    task = await of(api.submit(refuse.task("no number")))
    e = await fails(sutazai.TaskFailedError, lambda: task.result(10))
    assert (e.error.kind, e.error.message, e.task.id) == ("invalid_input", "no number", task.id)
    info = await of(task.info())
    assert (info.status, info.error, info.failures) == ("failed", e.error, 1)


@check
async def crashed_agent_is_an_internal_error(api: Any) -> None:
    e = await fails(sutazai.TaskFailedError, lambda: api.run(crash.task(), timeout=10))
    assert e.error.kind == "internal" and e.task.status == "failed"


@check
async def cancelled_task_raises(api: Any) -> None:
    task = await of(api.submit(wait_for_ever.task()))
    assert (await of(task.cancel())).cancel_requested or (await of(task.info())).status == "cancelled"
    await fails(sutazai.TaskCancelledError, lambda: task.result(10))
    assert (await of(task.info())).status == "cancelled"
    e = await fails(sutazai.ConflictError, task.cancel)
    assert "cancelled" in e.message


@check
async def late_task_times_out_and_goes_on(api: Any) -> None:
    task = await of(api.submit(wait_for_ever.task()))
    e = await fails(sutazai.TimedOutError, lambda: task.result(0.2))
    assert e.message == "the task did not end within 200ms"
    await fails(sutazai.TimedOutError, lambda: api.tasks.wait_all([task], timeout=0.2))
    assert not (await of(task.info())).has_ended
    await of(task.cancel())
    await of(task.wait(10))


@check
async def failed_task_is_retried(api: Any) -> None:
    task = await of(api.submit(refuse.task("again")))
    await of(task.wait(10))
    assert (await of(task.retry())).status == "pending"
    info = await of(task.wait(10))
    assert (info.status, info.attempt) == ("failed", 2)
    other = await of(api.submit(add.task(1, 1)))
    await of(other.wait(10))
    await fails(sutazai.ConflictError, other.retry)
    assert await of(api.tasks.retry_failed(agent="refuse")) == 1
    assert await of(api.tasks.retry_failed(agent="crash")) == 0


@check
async def ended_task_is_deleted(api: Any) -> None:
    task = await of(api.submit(add.task(1, 2)))
    await of(task.wait(10))
    await of(task.delete())
    e = await fails(sutazai.NotFoundError, task.info)
    assert e.message == f"task {task.id} not found"
    running = await of(api.submit(wait_for_ever.task()))
    await fails(sutazai.ConflictError, running.delete)
    await of(running.cancel())
    await of(running.wait(10))


@check
async def events_of_a_task_are_followed(api: Any) -> None:
    task = await of(api.submit(steps.task(3)))
    events = await items(task.events())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    progress = [(event.fraction, event.message) for event in events if isinstance(event, sutazai.ProgressEvent)]
    assert [message for _, message in progress] == ["step 0", "step 1", "step 2"] and progress[-1][0] == 1.0
    assert [event.text for event in events if isinstance(event, sutazai.TextEvent)] == ["all done"]
    statuses = [event.status for event in events if isinstance(event, sutazai.StatusEvent)]
    assert statuses[0] == "pending" and statuses[-1] == "completed"
    later = await items(task.events(after=events[-2].sequence))
    assert later == events[-1:]
    assert await items(task.events(after=events[-1].sequence)) == []


@check
async def events_of_a_running_task_arrive(api: Any) -> None:
    task = await of(api.submit(wait_for_ever.task()))
    (begun, running) = await first(task.events(), 2)
    assert (begun.status, running.status) == ("pending", "processing")
    await of(task.cancel())
    assert (await items(task.events(after=2)))[-1].status == "cancelled"


@check
async def children_exchange_messages(api: Any) -> None:
    task = await of(api.submit(add_up.task([(1, 2), (3, 4)])))
    assert await of(task.result(10)) == 10
    messages = await items(task.messages())
    assert {(m.type, m.source, m.target) for m in messages} >= {("TASK", "add-up", "add"), ("RESULT", "add", "add-up")}
    assert all(message.task_id == task.id for message in messages)


@check
async def tasks_are_listed_page_by_page(api: Any) -> None:
    tasks = await of(api.submit_all([add.task(n, 0) for n in range(120)]))
    await of(api.tasks.wait_all(tasks, timeout=30))
    listed = await items(api.tasks.list())
    assert sorted(info.id for info in listed) == sorted(task.id for task in tasks)
    assert len(await items(api.tasks.list(limit=105))) == 105
    assert await items(api.tasks.list(agent="steps")) == [] and await items(api.tasks.list(status="failed")) == []
    cut = listed[50].created_at
    later = await items(api.tasks.list(created_after=cut))
    earlier = await items(api.tasks.list(created_before=cut, status="completed"))
    assert len(later) + len(earlier) == 120 and listed[50].id in {info.id for info in later}


@check
async def tasks_are_counted(api: Any) -> None:
    await of(api.run(add.task(1, 2)))
    await fails(sutazai.TaskFailedError, lambda: api.run(refuse.task("no"), timeout=10))
    counts = {(count.agent, count.status): count.count for count in await of(api.tasks.statistics())}
    assert counts == {("add", "completed"): 1, ("refuse", "failed"): 1}
    due = datetime.now(timezone.utc) + timedelta(hours=1)
    await of(api.submit(add.task(1, 2).but(run_at=due)))
    backlog = await of(api.tasks.backlog())
    assert (backlog.tasks, backlog.oldest) == (1, None)


@check
async def feed_reports_the_events_of_all_tasks(api: Any) -> None:
    await of(api.run(add.task(0, 0)))
    first_task = await of(api.submit(steps.task(1)))
    await of(first_task.wait(10))
    feed = api.tasks.feed()
    # The feed begins with its first read, which waits for an event.
    second = await of(api.submit(add.task(1, 2).but(run_at=datetime.now(timezone.utc) + timedelta(seconds=0.3))))
    seen = await first(feed, 2)
    assert {entry.event.task_id for entry in seen} == {second.id} and all(entry.position for entry in seen)
    again = await first(api.tasks.feed(after=seen[0].position), 1)
    assert again[0].position == seen[1].position and again[0].event == seen[1].event


@check
async def unknown_tasks_are_not_found(api: Any) -> None:
    for id in ("unknown", UNKNOWN):
        handle = api.tasks.handle(id)
        for call in (partial(api.tasks.get, id), partial(handle.result, 1), handle.cancel, handle.delete):
            e = await fails(sutazai.NotFoundError, call)
            assert e.message == f"task {id} not found" and isinstance(e, LookupError)


@check
async def invalid_submissions_name_the_field(api: Any) -> None:
    invalid: list[tuple[sutazai.NewTask[Any], str]] = [
        (sutazai.NewTask[Any](agent="add", payload={"x": 1}), "payload.y"),
        (sutazai.NewTask[Any](agent="add", payload={"x": "one", "y": 2}), "payload.x"),
        (add.task(1, 2).but(priority=12), "priority"),
        (add.task(1, 2).but(title="x" * 300), "title"),
    ]
    for new, field in invalid:
        e = await fails(sutazai.InvalidInputError, partial(api.submit, new))
        assert e.field == field and isinstance(e, ValueError)
    e = await fails(sutazai.InvalidInputError, lambda: api.submit("nobody", {}))
    assert e.field == "agent" and "nobody" in e.message


@check
async def handle_has_a_typed_result(api: Any) -> None:
    task = await of(api.submit("doubled", {"number": "7", "lines": [1]}))
    assert await of(api.tasks.handle(task.id, Invoice).result(10)) == Invoice(number="7", lines=[2])


# ---- machine


@check
async def agents_describe_themselves(api: Any) -> None:
    agents = {agent.name: agent for agent in await of(api.agents())}
    assert agents["add"].description == "Adds two numbers." and set(agents) >= {"hardware-optimizer", "add-up"}
    assert agents["add"].input_schema["required"] == ["x", "y"] and agents["add"].output_schema == {"type": "integer"}
    assert (agents["add"].defaults, agents["patient"].defaults) == (sutazai.TaskDefaults(), sutazai.TaskDefaults(8, 120, 7))


@check
async def health_reports_the_database(api: Any) -> None:
    health = await of(api.health())
    assert health.status in ("healthy", "degraded") and health.checks["database"] == "ok"


@check
async def machine_is_measured(api: Any) -> None:
    snapshot = await of(api.metrics.snapshot())
    assert snapshot.host["cpu"] and snapshot.taken_at.tzinfo is not None
    only = await of(api.metrics.snapshot("host"))
    assert only.host and not only.pressure and only.pressure.reason == "no source for it is registered"


@check
async def history_of_metrics_is_read(api: Any) -> None:
    assert await of(api.metrics.series("nothing")) == []
    assert await of(api.metrics.history("nothing")) == []
    e = await fails(sutazai.InvalidInputError, lambda: api.metrics.history("host", max_points=0))
    assert e.field is not None


@check
async def machine_is_analyzed(api: Any) -> None:
    analysis = await of(api.analyze(use_model=False))
    assert analysis.priority_level in ("low", "medium", "high", "critical") and analysis.generated_by


# ---- schedules


@check
async def settings_left_out_are_those_of_the_agent(api: Any) -> None:
    tasks: list[sutazai.NewTask[Any]] = [patient.task(), sutazai.NewTask("patient")]
    for new in tasks:
        info = await of((await of(api.submit(new))).info())
        assert (info.priority, info.timeout_seconds, info.max_attempts) == (8, 120, 7)
    info = await of((await of(api.submit("patient", {}, max_attempts=1, priority=0))).info())
    assert (info.priority, info.timeout_seconds, info.max_attempts) == (0, 120, 1)
    for task, priority in ((patient.task(), 8), (patient.task().but(priority=3), 3)):
        night = await of(api.schedules.create("night", task, cron="0 3 * * *"))
        assert night.priority == priority
        await of(api.schedules.delete(night.id))


@check
async def schedules_are_created_replaced_and_deleted(api: Any) -> None:
    night = await of(
        api.schedules.create("night", add.task(1, 2), cron="0 3 * * *", time_zone="Europe/Berlin", missed="skip", overlap="allow")
    )
    assert (night.name, night.agent, night.payload, night.priority) == ("night", "add", {"x": 1, "y": 2}, 5)
    assert (night.cron, night.time_zone, night.missed, night.overlap) == ("0 3 * * *", "Europe/Berlin", "skip", "allow")
    assert night.enabled and night.next_run_at is not None and night.last_run_at is None
    assert await of(api.schedules.get(night.id)) == night
    day = await of(api.schedules.replace(night.id, "day", add.task(3, 4).but(priority=8), cron="0 12 * * *", enabled=False))
    assert (day.id, day.name, day.enabled, day.priority, day.missed) == (night.id, "day", False, 8, "once")
    assert [schedule.id for schedule in await items(api.schedules.list())] == [night.id]
    await of(api.schedules.delete(night.id))
    e = await fails(sutazai.NotFoundError, lambda: api.schedules.get(night.id))
    assert e.message == f"schedule {night.id} not found"


@check
async def invalid_schedules_name_the_field(api: Any) -> None:
    invalid: list[tuple[dict[str, str], str]] = [
        ({"cron": "often"}, "cron"),
        ({"cron": "0 3 * * *", "time_zone": "Mars"}, "time_zone"),
    ]
    for options, field in invalid:
        e = await fails(sutazai.InvalidInputError, partial(api.schedules.create, "x", add.task(1, 2), **options))
        assert e.field == field
    await fails(sutazai.NotFoundError, lambda: api.schedules.delete(UNKNOWN))


# ---- models


@check
async def model_completes_a_prompt(api: Any) -> None:
    completion = await of(api.models.complete("Count.", max_tokens=3))
    assert completion.text.split() == ["one", "two", "three"]
    usage = completion.usage
    assert (usage.backend, usage.finish_reason, usage.completion_tokens) == ("scripted", "length", 3)
    assert usage.model == "scripted-model" and usage.prompt_tokens > 0


class Order(BaseModel):
    fruit: Literal["apple", "pear"]
    count: int


@check
async def model_returns_a_typed_value(api: Any) -> None:
    await of(api.models.complete("Count."))
    prompt = [sutazai.Message(role="user", content="Three pears")]
    assert await of(api.models.complete(prompt, output=Order)) == Order(fruit="pear", count=3)


@check
async def model_streams_its_answer(api: Any) -> None:
    answer = api.models.stream("Count.", stop=["four"])
    pieces = await items(answer)
    assert "".join(pieces).split() == ["one", "two", "three"] and len(pieces) > 1
    assert answer.usage is not None and (answer.usage.backend, answer.usage.finish_reason) == ("scripted", "stop")
    stopped = await first(api.models.stream("Say."), 1)
    assert len(stopped) == 1


@check
async def invalid_requests_to_models_raise(api: Any) -> None:
    e = await fails(sutazai.InvalidInputError, lambda: api.models.complete("Count.", max_tokens=0))
    assert e.field == "max_tokens"
    e = await fails(sutazai.NotFoundError, lambda: api.models.complete("Count.", model="unknown"))
    await of(api.models.complete("Count."))
    await of(api.models.complete("Count."))
    await fails(sutazai.UnavailableError, lambda: api.models.complete("Nothing is left."))


@check
async def models_are_listed(api: Any) -> None:
    (only,) = await of(api.models.list())
    assert (only.name, only.backend) == ("scripted-model", "scripted")


# ---- documents and conversations


@check
async def documents_are_stored_and_searched(api: Any) -> None:
    document = await of(api.documents.add(b"A dead worker loses its lease.", title="Leases"))
    assert (document.title, document.media_type, document.chunks, document.size_bytes) == ("Leases", "text/plain", 1, 30)
    assert await of(api.documents.get(document.id)) == document
    (passage,) = await of(api.documents.search('"dead worker"'))
    assert (passage.title, passage.chunk.text, passage.chunk.document_id) == (
        "Leases",
        "A dead worker loses its lease.",
        document.id,
    )
    assert [chunk.text for chunk in await items(api.documents.chunks(document.id))] == [passage.chunk.text]
    assert await items(api.documents.list()) == [document] and await of(api.documents.search("nothing")) == []
    await of(api.documents.delete(document.id))
    e = await fails(sutazai.NotFoundError, lambda: api.documents.get(document.id))
    assert e.message == f"document {document.id} not found"


@check
async def files_keep_their_names(api: Any) -> None:
    path = Path(os.environ["SUTAZAI_PARITY_FOLDER"]) / 'na"ïve 船.md'
    path.write_text("# Ships\n\nA ship sails.", "utf-8")
    document = await of(api.documents.add(path))
    assert (document.title, document.media_type) == ('na"ïve 船.md', "text/markdown")
    long = await of(api.documents.add(b"word " * 30_000, title="Long"))
    chunks = await items(api.documents.chunks(long.id))
    assert len(chunks) == long.chunks > 100 and [chunk.index for chunk in chunks] == list(range(long.chunks))
    assert (await items(api.documents.chunks(long.id, first=5)))[0] == chunks[5]


@check
async def invalid_documents_name_the_field(api: Any) -> None:
    e = await fails(sutazai.InvalidInputError, lambda: api.documents.add(b"\xff\xfe\xff", title="Bytes"))
    assert e.field is not None
    await fails(sutazai.InvalidInputError, lambda: api.documents.add(b"text", media_type="image/png"))
    await fails(sutazai.NotFoundError, lambda: api.documents.delete("unknown"))


@check
async def conversations_are_held_and_kept(api: Any) -> None:
    conversation = await of(api.chat.begin(title="Numbers", system="Answer briefly."))
    answer = conversation.say("Count.", max_tokens=3)
    assert (await of(answer.text())).split() == ["one", "two", "three"]
    assert answer.usage is not None and answer.usage.finish_reason == "length"
    messages = await items(conversation.messages())
    assert [(m.role, m.cut) for m in messages] == [("user", False), ("assistant", False)]
    assert messages[1].usage is not None and messages[1].usage.backend == "scripted"
    again = conversation.ask_again()
    assert "pear" in await of(again.text())
    info = await of(conversation.info())
    assert (info.title, info.system, info.model) == ("Numbers", "Answer briefly.", None)
    assert (await of(conversation.rename("Fruit"))).title == "Fruit"
    assert [found.title for found in await items(api.chat.list())] == ["Fruit"]
    await of(conversation.delete())
    e = await fails(sutazai.NotFoundError, conversation.info)
    assert e.message == f"conversation {conversation.id} not found"


@check
async def failed_answers_raise(api: Any) -> None:
    conversation = await of(api.chat.begin())
    for _ in range(2):
        await of(conversation.say("Count.").text())
    await fails(sutazai.UnavailableError, lambda: conversation.say("Nothing is left.").text())
    await fails(sutazai.InvalidInputError, lambda: conversation.say("").text())
    await fails(sutazai.NotFoundError, lambda: api.chat.get(UNKNOWN).say("Hello").text())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_faces_agree(face: str, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTAZAI_PARITY_FOLDER", os.fspath(tmp_path))
    FACES[face](check, AGENTS, model)
