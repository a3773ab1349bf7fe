"""Trace context of OpenTelemetry, if the program has imported its API: submissions carry it, and agents run under it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


def _api() -> tuple[Any, Any] | None:
    """Returns the modules of the API; `None` if the program uses none, so that nothing is imported in vain."""
    trace, context = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.context")
    return (trace, context) if trace is not None and context is not None else None


def current_traceparent() -> str | None:
    """Returns the position of the current span, as the header `traceparent` has it."""
    api = _api()
    if api is None:
        return None
    place = api[0].get_current_span().get_span_context()
    if not place.is_valid:
        return None
    return f"00-{place.trace_id:032x}-{place.span_id:016x}-{int(place.trace_flags):02x}"


@contextmanager
def attached(traceparent: str | None) -> Generator[None, None, None]:
    """Block whose spans are children of the span at this position."""
    api = _api()
    if api is None or traceparent is None:
        yield
        return
    trace, context = api
    _, trace_id, span_id, flags = traceparent.split("-")
    place = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(place)))
    try:
        yield
    finally:
        context.detach(token)
