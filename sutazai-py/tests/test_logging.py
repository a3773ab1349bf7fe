"""Log records of the engine in Python's `logging`."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import sutazai


@sutazai.agent(max_attempts=1)
def fail() -> None:
    raise ValueError("no")


def of_engine(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    names = ("sutazai.engine", "sutazai.store", "sutazai.models", "sutazai.http")
    return [record for record in caplog.records if record.name in names]


def test_records_have_their_task(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sutazai")
    with sutazai.Engine(":memory:", agents=[fail], environment=False) as engine:
        task = engine.submit(fail.task())
        task.wait(timeout=10)
    records = of_engine(caplog)
    assert records and not [thread for thread in threading.enumerate() if thread.name == "sutazai-log"]
    mine = [record for record in records if getattr(record, "task_id", None) == task.id]
    assert mine and {getattr(record, "agent", None) for record in mine} == {"fail"}


def test_level_of_the_logger_decides(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sutazai")
    with sutazai.Engine(":memory:", agents=[fail], environment=False) as engine:
        engine.submit(fail.task()).wait(timeout=10)
    assert of_engine(caplog) == []


def test_engine_without_logging_forwards_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sutazai")
    with sutazai.Engine(":memory:", agents=[fail], environment=False, logging=False) as engine:
        engine.submit(fail.task()).wait(timeout=10)
    assert of_engine(caplog) == []


def test_failing_handler_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sutazai")

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the program")

    logger = logging.getLogger("sutazai.engine")
    logger.addFilter(refuse)
    try:
        with sutazai.Engine(":memory:", agents=[fail], environment=False) as engine:
            engine.submit(fail.task()).wait(timeout=10)
    finally:
        logger.removeFilter(refuse)
    assert any(record.message == "log record not emitted" for record in caplog.records)


def test_process_ends_while_records_are_written(tmp_path: Path) -> None:
    program = """
import logging, os, sutazai
logging.basicConfig(level=logging.DEBUG)
@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y
engine = sutazai.Engine(":memory:", agents=[add]).open()
engine.submit_all(add.task(n, n) for n in range(200))
if os.fork() == 0:
    with sutazai.Engine(":memory:", agents=[add]) as other:
        other.run(add.task(1, 2))
    os._exit(7)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
"""
    for _ in range(3):
        command = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "INFO:sutazai.engine" in done.stderr
