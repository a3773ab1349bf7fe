"""Processes that only run tasks: the command line, and `run_forever`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sutazai

APP = """
import os, time
import sutazai

@sutazai.agent
def where() -> int:
    return os.getpid()

@sutazai.agent
def endless() -> None:
    while True:
        time.sleep(0.01)

AGENTS = [where, endless]
ENGINE = sutazai.Engine("app.db", agents=AGENTS, shutdown_grace=60)
NUMBER = 7

if __name__ == "__main__":
    import asyncio
    asyncio.run(sutazai.AsyncEngine("app.db", agents=AGENTS).run_forever())
"""


@sutazai.agent
def where() -> int:
    return os.getpid()


@sutazai.agent
def endless() -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP, "utf-8")
    return tmp_path


def begin(folder: Path, *command: str) -> subprocess.Popen[str]:
    python = [sys.executable, "-W", "ignore::RuntimeWarning"]
    return subprocess.Popen([*python, *command], cwd=folder, text=True, stderr=subprocess.PIPE)


COMMANDS = {
    "agents": ["-m", "sutazai", "worker", "app:AGENTS", "--database", "app.db", "--workers", "2"],
    "agent": ["-m", "sutazai", "worker", "app:where", "--database", "app.db"],
    "engine": ["-m", "sutazai", "worker", "app:ENGINE"],
    "async": ["app.py"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_worker_runs_tasks_until_a_signal(folder: Path, command: list[str]) -> None:
    for stop in (signal.SIGTERM, signal.SIGINT):
        with begin(folder, *command) as worker:
            try:
                with sutazai.Engine(folder / "app.db", agents=[where], workers=0) as engine:
                    assert engine.run(where.task(), timeout=30) == worker.pid
                worker.send_signal(stop)
                assert worker.wait(20) == 0
                assert worker.stderr and worker.stderr.read() == ""
            finally:
                worker.kill()


def test_second_signal_does_not_wait_for_agents(folder: Path) -> None:
    with begin(folder, *COMMANDS["engine"]) as worker:
        try:
            with sutazai.Engine(folder / "app.db", agents=[endless], workers=0) as engine:
                task = engine.submit(endless.task())
                next(event for event in task.events() if getattr(event, "status", None) == "processing")
                worker.send_signal(signal.SIGTERM)
                with pytest.raises(subprocess.TimeoutExpired):
                    worker.wait(1)
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(10) == -signal.SIGTERM
        finally:
            worker.kill()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("app", "expected module:attribute"),
        ("unknown:AGENTS", "no module is called 'unknown'"),
        ("app:UNKNOWN", "has no attribute 'UNKNOWN'"),
        ("app:NUMBER", "expected an Engine, an agent or a list of agents at app:NUMBER, got 7"),
    ],
)
def test_wrong_target_is_explained(folder: Path, target: str, message: str) -> None:
    with begin(folder, "-m", "sutazai", "worker", target) as worker:
        assert worker.wait(20) == 1
        assert worker.stderr and message in worker.stderr.read()
