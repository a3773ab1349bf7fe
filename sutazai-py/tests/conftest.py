"""Engines for tests: in memory and over a file, with the environment of the test alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

DATABASES = ["memory", "sqlite"]

# A shell starts background jobs with SIGINT ignored, which processes inherit: no test of Ctrl-C would end.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", f"sqlite://{tmp_path}/default.db")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MODEL_BACKENDS", raising=False)
    yield


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else os.fspath(tmp_path / "tasks.db")
