"""Shows the progress of a task: with tqdm where it is installed, else as a line on the terminal."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from .types import Event, ProgressEvent, StatusEvent


class Bar(Protocol):
    """Shows how far a task is."""

    def show(self, fraction: float, message: str) -> None:
        """Shows the completed share, and what the agent does."""

    def close(self) -> None:
        """Leaves the last state behind."""


class Line:
    """A line that is written again on a terminal, or one line for each step elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()

    def show(self, fraction: float, message: str) -> None:
        """Writes the line."""
        text = f"{fraction:4.0%} {message}".rstrip()
        sys.stderr.write(f"\r{text}\x1b[K" if self._is_terminal else f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._is_terminal:
            sys.stderr.write("\n")


class Tqdm:
    """A bar of tqdm, which draws widgets in notebooks."""

    def __init__(self, tqdm: Any) -> None:
        self._bar = tqdm(total=1.0, bar_format="{desc}{percentage:3.0f}%|{bar}| {elapsed}")

    def show(self, fraction: float, message: str) -> None:
        """Draws the bar."""
        self._bar.n = fraction
        self._bar.set_description(message, refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()


class Hidden:
    """Shows nothing."""

    def show(self, fraction: float, message: str) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def _bar(wanted: bool | None) -> Bar:
    is_notebook = "ipykernel" in sys.modules
    if not (sys.stderr.isatty() or is_notebook if wanted is None else wanted):
        return Hidden()
    try:
        # A module that is chosen by name, because type checkers have no types of it.
        return Tqdm(importlib.import_module("tqdm.auto" if is_notebook else "tqdm").tqdm)
    except ImportError:
        return Line()


class Follower:
    """Shows the progress among the events of a task."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._fraction = 0.0

    def see(self, event: Event) -> None:
        """Shows an event if it is about progress, and a completed task as a full bar."""
        if isinstance(event, ProgressEvent):
            self._fraction = event.fraction
            # The text of an agent may be that of others, and a terminal obeys control characters.
            message = "".join(letter if letter.isprintable() else " " for letter in event.message)
            self._bar.show(event.fraction, message)
        # An agent need not report progress.
        elif isinstance(event, StatusEvent) and event.status == "completed" and self._fraction < 1:
            self._bar.show(1.0, "")


@contextmanager
def follower(wanted: bool | None) -> Generator[Follower, None, None]:
    """Shows progress in its block: always, never, or by default on a terminal and in a notebook."""
    bar = _bar(wanted)
    try:
        yield Follower(bar)
    finally:
        bar.close()
