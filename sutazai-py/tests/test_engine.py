"""The synchronous engine over both kinds of database."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import sutazai


@sutazai.agent
def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


@sutazai.agent(max_attempts=1)
def broken(text: str) -> None:
    raise LookupError(text)


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


AGENTS: list[sutazai.Agent[..., Any]] = [add, broken, steps, wait_for_ever]


@pytest.fixture
def engine(database: str) -> Iterator[sutazai.Engine]:
    with sutazai.Engine(database, agents=AGENTS, workers=8) as engine:
        yield engine


def test_typed_result_is_returned(engine: sutazai.Engine) -> None:
    assert engine.run(add.task(1, 2)) + 1 == 4
    task = engine.submit(add.task(3, y=4))
    assert task.result(timeout=5) == 7
    info = task.info()
    assert (info.status, info.payload, info.result, info.attempt) == ("completed", {"x": 3, "y": 4}, 7, 1)
    assert info.created_at.tzinfo is not None and info.took is not None and info.has_ended


def test_options_of_a_task_are_stored(engine: sutazai.Engine) -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    new = add.task(1, 1).but(title="One", priority=9, timeout=timedelta(minutes=2), run_at=later, unique_key="k")
    info = engine.submit(new).info()
    assert (info.title, info.priority, info.timeout_seconds, info.unique_key) == ("One", 9, 120, "k")
    assert info.status == "pending" and abs(info.run_at - later) < timedelta(milliseconds=1)


def test_task_by_name_has_an_untyped_result(engine: sutazai.Engine) -> None:
    assert engine.submit("add", {"x": 1, "y": 2}, priority=7).result(5) == 3
    with pytest.raises(TypeError, match="but"):
        engine.submit(add.task(1, 2), priority=7)  # type: ignore[call-overload]  # pyright: ignore


def test_repeated_submission_with_a_key_is_one_task(engine: sutazai.Engine) -> None:
    new = add.task(1, 2).but(idempotency_key="once")
    assert engine.submit(new).id == engine.submit(new).id
    with pytest.raises(sutazai.ConflictError) as e:
        engine.submit(add.task(2, 2).but(idempotency_key="once"))
    assert e.value.field == "idempotency_key"


def test_tasks_are_submitted_together_or_not_at_all(engine: sutazai.Engine) -> None:
    wrong: sutazai.NewTask[Any] = sutazai.NewTask(agent="add", payload={"x": "one"})
    with pytest.raises(sutazai.InvalidInputError, match=r"^payload"):
        engine.submit_all([add.task(1, 1), wrong])
    assert list(engine.tasks.list()) == []
    tasks = engine.submit_all(add.task(n, n) for n in range(250))
    assert [task.result(10) for task in tasks] == [2 * n for n in range(250)]


def test_listing_reads_all_pages(engine: sutazai.Engine) -> None:
    tasks = engine.submit_all(add.task(n, n) for n in range(230))
    engine.tasks.wait_all(tasks, timeout=30)
    assert [info.id for info in engine.tasks.list()] == [task.id for task in reversed(tasks)]
    assert len(list(engine.tasks.list(limit=130))) == 130
    assert list(engine.tasks.list(status="failed")) == []
    assert len(list(engine.tasks.list(agent="add", created_after=datetime(2020, 1, 1, tzinfo=timezone.utc)))) == 230
    with pytest.raises(ValueError, match="zone"):
        list(engine.tasks.list(created_after=datetime(2020, 1, 1)))


def test_events_are_typed_and_continue_after_a_sequence(engine: sutazai.Engine) -> None:
    task = engine.submit(steps.task(3))
    events = list(task.events())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    progress = [event for event in events if isinstance(event, sutazai.ProgressEvent)]
    assert [event.message for event in progress] == ["step 0", "step 1", "step 2"]
    assert progress[-1].fraction == 1.0
    assert [event.text for event in events if isinstance(event, sutazai.TextEvent)] == ["all done"]
    statuses = [event.status for event in events if isinstance(event, sutazai.StatusEvent)]
    assert statuses[-1] == "completed"
    assert list(task.events(after=events[1].sequence)) == events[2:]


def test_failed_task_is_no_failed_call(engine: sutazai.Engine) -> None:
    task = engine.submit(broken.task("nothing there"))
    with pytest.raises(sutazai.TaskFailedError) as e:
        task.result(10)
    assert not isinstance(e.value, LookupError)
    assert e.value.error == sutazai.TaskError(kind="internal", message="LookupError: nothing there")
    cause = e.value.__cause__
    assert isinstance(cause, LookupError) and cause.__traceback__ is not None
    assert e.value.task.id == task.id and e.value.task.failures == 1
    assert task.wait().status == "failed"
    assert task.retry().status == "pending"
    assert task.wait(10).status == "failed"
    assert engine.tasks.retry_failed(agent="broken") == 1
    task.wait(10)


def test_time_limit_of_a_wait_leaves_the_task(engine: sutazai.Engine) -> None:
    task = engine.submit(wait_for_ever.task())
    began = time.monotonic()
    with pytest.raises(sutazai.TimedOutError) as e:
        task.result(timeout=timedelta(milliseconds=200))
    assert 0.2 <= time.monotonic() - began < 2 and isinstance(e.value, TimeoutError)
    assert task.cancel().cancel_requested
    with pytest.raises(sutazai.TaskCancelledError):
        task.result(10)
    with pytest.raises(sutazai.ConflictError):
        task.cancel()
    task.delete()
    with pytest.raises(sutazai.NotFoundError) as missing:
        task.info()
    assert isinstance(missing.value, LookupError)


def test_unknown_ids_are_not_found(engine: sutazai.Engine) -> None:
    for id in ("0199c5a0-0000-7000-8000-000000000000", "no id"):
        with pytest.raises(sutazai.NotFoundError):
            engine.tasks.get(id)
        with pytest.raises(sutazai.NotFoundError):
            engine.tasks.handle(id).result(1)


def test_tasks_are_returned_in_the_order_of_their_ends(engine: sutazai.Engine) -> None:
    slow, quick = engine.submit(wait_for_ever.task()), engine.submit(add.task(1, 1))
    completed = engine.tasks.as_completed([slow, quick], timeout=10)
    assert next(completed) is quick
    slow.cancel()
    assert [task.id for task in completed] == [slow.id]


def test_handle_reads_the_given_type(engine: sutazai.Engine) -> None:
    task = engine.submit(add.task(1, 2))
    assert engine.tasks.handle(task.id, float).result(5) == 3.0
    with pytest.raises(TypeError, match="tasks.handle"):
        pickle.dumps(task)


def test_statistics_and_backlog(engine: sutazai.Engine) -> None:
    engine.run(add.task(1, 2))
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    engine.submit(add.task(1, 2).but(run_at=later))
    counts = {(count.agent, count.status): count.count for count in engine.tasks.statistics()}
    assert counts == {("add", "completed"): 1, ("add", "pending"): 1}
    assert engine.tasks.backlog().tasks == 1


def test_agents_and_health(engine: sutazai.Engine) -> None:
    agents = {agent.name: agent for agent in engine.agents()}
    assert agents["add"].description == "Adds two numbers."
    assert agents["add"].input_schema["required"] == ["x", "y"] and agents["add"].output_schema == {"type": "integer"}
    assert "hardware-optimizer" in agents
    assert engine.health() == sutazai.Health(status="healthy", checks={"database": "ok"})


def test_schedules(engine: sutazai.Engine) -> None:
    created = engine.schedules.create("night", add.task(1, 2), cron="0 3 * * *", time_zone="Europe/Berlin")
    assert (created.agent, created.payload, created.missed) == ("add", {"x": 1, "y": 2}, "once")
    assert created.next_run_at is not None and created.next_run_at.astimezone(timezone.utc).hour in (1, 2)
    assert engine.schedules.get(created.id) == created
    replaced = engine.schedules.replace(created.id, "day", add.task(2, 2), cron="0 12 * * *", enabled=False)
    assert replaced.name == "day" and replaced.next_run_at is None
    assert [schedule.id for schedule in engine.schedules.list()] == [created.id]
    with pytest.raises(sutazai.InvalidInputError) as e:
        engine.schedules.create("bad", add.task(1, 2), cron="often")
    assert e.value.field == "cron"
    engine.schedules.delete(created.id)
    with pytest.raises(sutazai.NotFoundError):
        engine.schedules.get(created.id)


def test_snapshot_has_measured_and_missing_sections(engine: sutazai.Engine) -> None:
    snapshot = engine.metrics.snapshot("host")
    assert not isinstance(snapshot.host, sutazai.Missing) and snapshot.host["memory"]
    assert isinstance(snapshot.gpus, sutazai.Missing) and not snapshot.gpus and snapshot.gpus.reason
    assert sutazai.Snapshot.from_dict(snapshot.to_dict()) == snapshot
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


def test_analysis_runs_as_a_task(engine: sutazai.Engine) -> None:
    analysis = engine.analyze(use_model=False)
    assert analysis.generated_by == "rules"
    assert [task.agent for task in engine.tasks.list()] == ["hardware-optimizer"]


def test_closed_engine_says_so_and_opens_again(database: str) -> None:
    engine = sutazai.Engine(database, agents=AGENTS)
    with pytest.raises(sutazai.ClosedError, match="not open"):
        engine.run(add.task(1, 2))
    with engine:
        assert engine.run(add.task(1, 2)) == 3
        with pytest.raises(RuntimeError, match="open already"):
            engine.open()
    engine.close()
    with pytest.raises(sutazai.ClosedError):
        engine.health()
    with engine:
        assert engine.run(add.task(2, 2)) == 4


def test_close_releases_waiting_threads(database: str) -> None:
    engine = sutazai.Engine(database, workers=0, agents=AGENTS).open()
    task, outcome = engine.submit(add.task(1, 2)), list[BaseException]()

    def wait() -> None:
        try:
            task.result()
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    engine.close()
    thread.join(5)
    assert [type(e) for e in outcome] == [sutazai.ClosedError]


def test_tasks_outlive_the_engine_in_a_file(tmp_path: Any) -> None:
    with sutazai.Engine(tmp_path / "tasks.db", agents=AGENTS, workers=0) as engine:
        id = engine.submit(add.task(20, 22)).id
    with sutazai.Engine(tmp_path / "tasks.db", agents=AGENTS) as engine:
        assert engine.tasks.handle(id, int).result(10) == 42


def test_invalid_setting_is_named() -> None:
    with pytest.raises(sutazai.InvalidInputError) as e:
        sutazai.Engine(":memory:", settings={"LEASE_SECONDS": "soon"}).open()
    assert e.value.field == "LEASE_SECONDS" and isinstance(e.value, ValueError)
    with pytest.raises(sutazai.UnsupportedError):
        sutazai.Engine("mysql://somewhere/x").open()


def test_errors_survive_pickling() -> None:
    error = sutazai.RateLimitedError("too many", field="x", retry_after=2.5)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.retry_after) == (sutazai.RateLimitedError, "x: too many", 2.5)


def test_waiting_for_many_tasks_is_linear(database: str) -> None:
    def seconds(count: int) -> float:
        with sutazai.Engine(database, agents=AGENTS, workers=4) as engine:
            began = time.monotonic()
            tasks = engine.submit_all(add.task(n, 1) for n in range(count))
            assert len(engine.tasks.wait_all(tasks, timeout=60)) == count
            return time.monotonic() - began

    few, many = seconds(200), seconds(2000)
    # Ten times the tasks; n² would be a hundred times.
    assert many < 30 * few + 2


def test_feed_has_the_events_of_all_tasks_from_a_position_on(engine: sutazai.Engine) -> None:
    with engine.tasks.feed() as feed:
        threading.Timer(0.2, lambda: engine.submit(add.task(1, 2))).start()
        entries = [next(feed)]
        while getattr(entries[-1].event, "status", None) != "completed":
            entries.append(next(feed))
    assert {entry.event.task_id for entry in entries if entry.event} == {entries[0].event and entries[0].event.task_id}
    with engine.tasks.feed(after=entries[0].position) as feed:
        assert [next(feed) for _ in entries[1:]] == entries[1:]
    with pytest.raises(sutazai.InvalidInputError, match="position"):
        next(engine.tasks.feed(after="yesterday"))
