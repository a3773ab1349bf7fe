"""Agents: their schemas, arguments and failures, and how they are stopped."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Literal, Optional

import pytest
from pydantic import BaseModel

import sutazai
from sutazai.testing import check_agent


class Item(BaseModel):
    name: str
    price: Decimal


@dataclass
class Order:
    items: list[Item]
    placed_at: datetime
    note: Optional[str] = None


def engine(*agents: sutazai.Agent[..., Any]) -> sutazai.Engine:
    return sutazai.Engine(":memory:", agents=agents, workers=4, shutdown_grace=1)


def test_name_description_and_schema_come_from_the_function() -> None:
    @sutazai.agent(capabilities=["count"])
    def count_Words(text: str, language: Literal["en", "de"] = "en") -> int:
        """Counts the words of a text.

        More of it."""
        return len(text.split())

    assert (count_Words.name, count_Words.description) == ("count-words", "Counts the words of a text.")
    schema = count_Words.input_schema
    assert schema["required"] == ["text"] and schema["additionalProperties"] is False
    assert schema["properties"]["language"]["enum"] == ["en", "de"]
    assert count_Words("two words") == 2, "the function itself, without an engine"


def test_models_dataclasses_and_times_cross_the_border() -> None:
    @sutazai.agent
    def total(order: Order, json: int = 0, copy: str = "") -> Item:
        assert isinstance(order, Order) and isinstance(order.items[0].price, Decimal)
        assert order.placed_at.tzinfo is not None
        return Item(name=copy, price=sum((item.price for item in order.items), Decimal(json)))

    order = Order([Item(name="a", price=Decimal("1.10")), Item(name="b", price=Decimal("2"))], datetime.now(timezone.utc))
    with engine(total) as running:
        result = running.run(total.task(order, json=1, copy="both"))
        assert isinstance(result, Item) and result == Item(name="both", price=Decimal("4.10"))


def test_one_positional_only_parameter_is_the_payload() -> None:
    @sutazai.agent
    def first(order: Item, /) -> Decimal:
        return order.price

    assert set(first.input_schema["properties"]) == {"name", "price"}
    new = first.task(Item(name="a", price=Decimal("1.5")))
    assert new.payload == {"name": "a", "price": "1.5"}
    with engine(first) as running:
        assert running.run(new) == Decimal("1.5")


def test_wrong_arguments_are_named_before_anything_is_sent() -> None:
    @sutazai.agent
    def add(x: int, y: int) -> int:
        return x + y

    with pytest.raises(sutazai.InvalidInputError) as e:
        add.task(1, "two")  # type: ignore[arg-type]  # pyright: ignore
    assert e.value.field == "payload.y"
    with pytest.raises(TypeError, match="argument"):
        add.task(1, z=2)  # type: ignore[call-arg]  # pyright: ignore
    with pytest.raises(TypeError, match="required"):
        add.task(1)  # type: ignore[call-arg]  # pyright: ignore


def test_functions_without_a_clear_payload_are_refused() -> None:
    def anything(*values: int) -> None: ...
    def unknown(value) -> None: ...  # type: ignore[no-untyped-def]  # pyright: ignore

    with pytest.raises(TypeError, match="any number"):
        sutazai.agent(anything)
    with pytest.raises(TypeError, match="no annotation"):
        sutazai.agent(unknown)  # pyright: ignore


def test_result_that_does_not_fit_its_type_fails_the_task() -> None:
    @sutazai.agent(max_attempts=1)
    def wrong() -> int:
        return "text"  # type: ignore[return-value]  # pyright: ignore

    @sutazai.agent(max_attempts=1)
    def unwritable():  # type: ignore[no-untyped-def]
        return object()

    with engine(wrong, unwritable) as running:
        for task in (wrong.task(), unwritable.task()):
            with pytest.raises(sutazai.TaskFailedError) as e:
                running.run(task, timeout=10)
            assert e.value.error.kind == "internal"


@pytest.mark.parametrize("integer", [2**64, 10**19 * 7, -(2**63) - 1, -(10**30)])
def test_integers_that_would_lose_digits_are_rejected(integer: int) -> None:
    @sutazai.agent(max_attempts=1)
    def give(text: str) -> int:
        return integer

    @sutazai.agent
    def take(anything: Any) -> Any:
        return anything

    with engine(give, take) as running:
        with pytest.raises(sutazai.TaskFailedError, match=str(integer)):
            running.run(give.task("a"), timeout=10)
        with pytest.raises(sutazai.InvalidInputError, match=str(integer)):
            running.submit("take", {"anything": [{"n": integer}]})


def test_integers_of_64_bits_keep_all_digits() -> None:
    @sutazai.agent
    def take(anything: Any) -> Any:
        return anything

    texts = ["99999999999999999999", '"\\" 99999999999999999999']
    edges: list[Any] = [2**64 - 1, -(2**63), 0, {"n": 10**18}, 1.5e300, -1e-30, *texts]
    with engine(take) as running:
        assert running.submit("take", {"anything": edges}).result(timeout=10) == edges


def test_kind_of_a_failure_decides_on_a_retry() -> None:
    attempts = dict[str, int]()

    @sutazai.agent
    def fails(how: str) -> int:
        attempts[how] = attempts.get(how, 0) + 1
        if attempts[how] == 1:
            errors: dict[str, Exception] = {
                "invalid": sutazai.InvalidInputError("no such file", field="how"),
                "away": ConnectionRefusedError("no server"),
                "late": TimeoutError(),
            }
            raise errors[how]
        return attempts[how]

    with engine(fails) as running:
        with pytest.raises(sutazai.TaskFailedError) as e:
            running.run(fails.task("invalid"), timeout=10)
        assert (e.value.error.kind, e.value.error.message) == ("invalid_input", "how: no such file")
        again = [running.submit(fails.task(how)) for how in ("away", "late")]
        assert [task.result(20) for task in again] == [2, 2]
        assert attempts == {"invalid": 1, "away": 2, "late": 2}


def test_frames_of_a_failed_agent_are_released() -> None:
    class Large:
        pass

    import gc
    import weakref

    kept: list[weakref.ref[Large]] = []

    @sutazai.agent(max_attempts=1)
    def fails() -> None:
        large = Large()
        kept.append(weakref.ref(large))
        raise ValueError("broken")

    with engine(fails) as running:
        running.submit(fails.task()).wait(10)
        gc.collect()
        assert kept[0]() is None


def test_agent_waits_for_children_and_keeps_its_state() -> None:
    @sutazai.agent
    def square(number: int) -> int:
        return number * number

    @sutazai.agent
    def sum_of_squares(numbers: list[int]) -> int:
        context = sutazai.current()
        if not context.children:
            assert context.state is None and context.attempt == 1
            context.wait_for(*(square.task(number) for number in numbers), state={"begun": True})
        assert context.state == {"begun": True} and context.task.agent == "sum-of-squares"
        return sum(child.result for child in context.children)

    with engine(square, sum_of_squares) as running:
        task = running.submit(sum_of_squares.task([1, 2, 3]))
        assert task.result(10) == 14
        assert {info.agent for info in running.tasks.list(parent=task.id)} == {"square"}
        assert {message.type for message in task.messages()} >= {"TASK", "RESULT"}


def test_agent_submits_tasks_and_cannot_wait_for_itself() -> None:
    submitted = list[str]()

    @sutazai.agent
    def child() -> str:
        return "child"

    @sutazai.agent(max_attempts=1)
    def parent() -> None:
        task = sutazai.current().submit(child.task())
        submitted.append(task.id)
        task.result()

    with engine(child, parent) as running:
        with pytest.raises(sutazai.TaskFailedError, match="wait for itself"):
            running.run(parent.task(), timeout=10)
        assert running.tasks.handle(submitted[0], str).result(10) == "child"


def test_thread_that_ignores_its_cancellation_is_interrupted() -> None:
    begun, ended = threading.Event(), threading.Event()

    @sutazai.agent
    def busy() -> None:
        begun.set()
        try:
            while True:
                pass
        finally:
            ended.set()

    @sutazai.agent
    def next_one() -> str:
        return "done"

    with engine(busy, next_one) as running:
        task = running.submit(busy.task())
        assert begun.wait(10)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(sutazai.TaskCancelledError):
            task.result(10)
        assert ended.is_set() and time.monotonic() - began < 4
        assert running.run(next_one.task(), timeout=5) == "done"
        assert running.health().status == "healthy"


def test_lost_thread_is_replaced_and_reported() -> None:
    begun, release = threading.Event(), threading.Event()

    @sutazai.agent(interrupt=False)
    def stuck() -> None:
        begun.set()
        release.wait()

    @sutazai.agent
    def next_one() -> str:
        return "done"

    with sutazai.Engine(":memory:", agents=[stuck, next_one], workers=1, shutdown_grace=1) as running:
        task = running.submit(stuck.task())
        assert begun.wait(10)
        task.cancel()
        with pytest.raises(sutazai.TaskCancelledError):
            task.result(20)
        assert running.run(next_one.task(), timeout=10) == "done"
        health = running.health()
        assert health.status == "degraded" and health.checks["threads"].startswith("1 lost")
        release.set()
        deadline = time.monotonic() + 5
        while running.health().status != "healthy" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert running.health().status == "healthy"


def test_context_is_that_of_the_running_agent_only() -> None:
    with pytest.raises(RuntimeError, match="no function runs here"):
        sutazai.current()
    with pytest.raises(RuntimeError, match="no coroutine runs here"):
        sutazai.current_async()


def test_conformance_suite_accepts_and_refuses() -> None:
    @sutazai.agent
    def good(text: str) -> str:
        context = sutazai.current()
        for _ in range(10):
            context.sleep(0.05)
        return text

    @sutazai.agent(interrupt=False)
    def deaf(text: str) -> str:
        time.sleep(8)
        return text

    check_agent(good, good.task("a"))
    with pytest.raises(AssertionError, match="runs on after its cancellation"):
        check_agent(deaf, deaf.task("a"))
