"""Spans of OpenTelemetry: a task continues the trace of the span that submitted it."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

import sutazai

trace: Any = importlib.import_module("opentelemetry.trace")
sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
tracer: Any = sdk.TracerProvider().get_tracer("tests")


def place(span: Any) -> tuple[str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@sutazai.agent
def where() -> tuple[str, str]:
    return place(trace.get_current_span())


@sutazai.agent
async def where_async() -> tuple[str, str]:
    await asyncio.sleep(0)
    return place(trace.get_current_span())


@sutazai.agent
def submit_from_a_span() -> tuple[str, str, str]:
    with tracer.start_as_current_span("inner") as span:
        return *place(span), sutazai.current().submit(where.task()).id


AGENTS: list[sutazai.Agent[..., Any]] = [where, where_async, submit_from_a_span]


@pytest.mark.parametrize("agent", [where, where_async])
def test_agent_runs_under_the_span_that_submitted_its_task(database: str, agent: Any) -> None:
    with sutazai.Engine(database, agents=AGENTS) as engine:
        with tracer.start_as_current_span("outer") as span:
            task = engine.submit(agent.task())
        assert task.result(timeout=10) == place(span)
        # Without a span the agent has none.
        assert engine.run(agent.task(), timeout=10) == ("0" * 32, "0" * 16)


def test_tasks_of_an_agent_continue_its_span() -> None:
    with sutazai.Engine(":memory:", agents=AGENTS) as engine:
        with tracer.start_as_current_span("outer") as span:
            task = engine.submit(submit_from_a_span.task())
        trace_id, span_id, child = task.result(timeout=10)
        assert trace_id == place(span)[0]
        assert tuple(engine.tasks.handle(child).result(timeout=10)) == (trace_id, span_id)
