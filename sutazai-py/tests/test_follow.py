"""Progress of a task while a program waits for it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

import sutazai

PROGRAM = """
import sys
import sutazai

@sutazai.agent
def count() -> str:
    context = sutazai.current()
    context.progress(0.25, "one\\x1b[2J")
    context.progress(1.0, "two")
    return "done"

@sutazai.agent
def endless() -> None:
    context = sutazai.current()
    context.progress(0.5, "half")
    while True:
        context.sleep(0.01)

with sutazai.Engine(":memory:", agents=[count, endless], shutdown_grace=0) as engine:
    if sys.argv[1] == "count":
        print(engine.submit(count.task()).follow())
    else:
        task = engine.submit(endless.task())
        try:
            task.follow()
        except KeyboardInterrupt:
            print(task.info().status)
"""


@sutazai.agent
def count() -> int:
    context = sutazai.current()
    context.progress(0.25, "one")
    context.progress(1.0, "two")
    return 2


@sutazai.agent
def silent() -> None:
    """Reports no progress."""


@sutazai.agent(max_attempts=1)
def fail() -> None:
    raise ValueError("no")


def test_progress_is_written_line_by_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if tqdm were not installed.
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with sutazai.Engine(":memory:", agents=[count, fail]) as engine:
        assert engine.submit(count.task()).follow() == 2
        assert capsys.readouterr().err == ""
        assert engine.submit(count.task()).follow(bar=True) == 2
        with pytest.raises(sutazai.TaskFailedError):
            engine.submit(fail.task()).follow(bar=True)
    assert capsys.readouterr().err == " 25% one\n100% two\n"


def test_task_without_progress_ends_with_a_full_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with sutazai.Engine(":memory:", agents=[silent]) as engine:
        engine.submit(silent.task()).follow(bar=True)
    assert capsys.readouterr().err == "100%\n"


def test_progress_of_a_task_in_an_event_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with sutazai.AsyncEngine(":memory:", agents=[count]) as engine:
            assert await (await engine.submit(count.task())).follow(bar=True) == 2

    asyncio.run(main())
    assert "100%" in capsys.readouterr().err


def on_a_terminal(folder: Path, what: str, stop_at: bytes | None = None) -> tuple[str, str]:
    """Runs the program with a terminal as its error output; returns both outputs."""
    (folder / "program.py").write_text(PROGRAM, "utf-8")
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "program.py", what]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""

    def read() -> None:
        nonlocal seen
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:
            # A terminal whose other end is closed.
            return

    reader = threading.Thread(target=read)
    reader.start()
    end = time.monotonic() + 30
    while stop_at is not None and stop_at not in seen:
        assert time.monotonic() < end, seen
        time.sleep(0.01)
    if stop_at is not None:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    reader.join(10)
    os.close(ours)
    assert process.returncode == 0, seen
    return output.decode(), seen.decode()


def test_progress_is_shown_on_a_terminal_without_control_characters(tmp_path: Path) -> None:
    output, shown = on_a_terminal(tmp_path, "count")
    assert output == "done\n" and "25%" in shown and "100%" in shown and "\x1b[2J" not in shown


def test_interruption_ends_the_wait_and_not_the_task(tmp_path: Path) -> None:
    output, shown = on_a_terminal(tmp_path, "endless", stop_at=b"50%")
    assert output == "processing\n" and "half" in shown
