"""Processes: signals, forks, and exits with an engine that is open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sutazai

AGENTS = """
import os, signal, sys, threading, time
import sutazai

@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y

@sutazai.agent
def endless() -> None:
    while True:
        time.sleep(0.01)

@sutazai.agent
async def sleeper() -> None:
    await sutazai.current_async().sleep(3600)
"""


def run(program: str, *, limit: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that starts with the agents above."""
    code = textwrap.dedent(AGENTS) + textwrap.dedent(program)
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=limit, env={**os.environ, **environment}, check=False
    )


def test_import_starts_nothing_and_changes_nothing() -> None:
    done = run(
        """
        before = os.environ.copy()
        import importlib
        assert threading.active_count() == 1, threading.enumerate()
        assert not any("sutazai" in open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task"))
        engine = sutazai.Engine(":memory:", agents=[add])
        assert threading.active_count() == 1
        assert before == os.environ
        """
    )
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-c", "import sutazai, sys; print([m for m in ('pydantic', 'tqdm') if m in sys.modules])"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@sutazai.agent
def endless() -> None:
    while True:
        time.sleep(0.01)


@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y


WAITS: dict[str, Callable[[sutazai.Engine], object]] = {
    "result": lambda engine: engine.submit(endless.task()).result(),
    "wait": lambda engine: engine.submit(endless.task()).wait(),
    "as_completed": lambda engine: list(engine.tasks.as_completed([engine.submit(endless.task())])),
    "events": lambda engine: list(engine.submit(endless.task()).events()),
    "feed": lambda engine: list(engine.tasks.feed()),
    "run": lambda engine: engine.run(endless.task()),
}


# Functions instead of texts for `eval`, after whose KeyboardInterrupt Python exits with 130 whoever handles it.
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_interrupt_ends_a_wait_and_leaves_the_engine(wait: Callable[[sutazai.Engine], object]) -> None:
    with sutazai.Engine(":memory:", agents=[endless, add], workers=8, shutdown_grace=0) as engine:
        began = time.monotonic()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            wait(engine)
        assert time.monotonic() - began < 1
        assert engine.run(add.task(1, 2)) == 3


def test_engine_is_refused_in_a_forked_process() -> None:
    done = run(
        """
        engine = sutazai.Engine(":memory:", agents=[add])
        never_opened = sutazai.Engine(":memory:", agents=[add])
        with engine:
            assert engine.run(add.task(1, 2)) == 3
            child = os.fork()
            if child == 0:
                try:
                    engine.run(add.task(1, 2))
                except sutazai.ForkedError as e:
                    assert "open one in this process" in str(e), e
                with never_opened:
                    assert never_opened.run(add.task(2, 2)) == 4
                del engine
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert engine.run(add.task(3, 4)) == 7
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_multiprocessing_by_fork_works_with_an_open_engine() -> None:
    done = run(
        """
        import multiprocessing
        with sutazai.Engine(":memory:", agents=[add]) as engine:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(abs, [-1, -2]) == [1, 2]
            assert engine.run(add.task(1, 2)) == 3
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(3)", "raise ValueError('oops')", "threading.Thread(target=sys.exit, args=(3,)).start()"],
)
@pytest.mark.parametrize("agent", ["add.task(1, 2)", "endless.task()", "sleeper.task()"])
def test_forgotten_engine_ends_with_the_process(end: str, agent: str) -> None:
    began = time.monotonic()
    done = run(
        f"""
        engine = sutazai.Engine(":memory:", agents=[add, endless, sleeper], shutdown_grace=0.5).open()
        engine.submit({agent})
        time.sleep(0.2)
        {end}
        """,
        PYTHONWARNINGS="default::ResourceWarning",
    )
    assert done.returncode == {"sys.exit(3)": 3, "raise ValueError('oops')": 1}.get(end, 0), done.stderr
    assert time.monotonic() - began < 12


def test_forgotten_async_engine_ends_with_the_process() -> None:
    done = run(
        """
        import asyncio
        async def main():
            engine = await sutazai.AsyncEngine(":memory:", agents=[sleeper], shutdown_grace=0.5).open()
            await engine.submit(sleeper.task())
            await asyncio.sleep(0.2)
        asyncio.run(main())
        """
    )
    assert done.returncode == 0, done.stderr


def test_task_of_a_forgotten_engine_is_released(tmp_path: Path) -> None:
    done = run(
        f"""
        engine = sutazai.Engine({os.fspath(tmp_path / "tasks.db")!r}, agents=[endless], shutdown_grace=0.2).open()
        task = engine.submit(endless.task())
        while task.info().status == "pending":
            time.sleep(0.01)
        print(task.id)
        """
    )
    assert done.returncode == 0, done.stderr
    with sutazai.Engine(tmp_path / "tasks.db", workers=0) as engine:
        assert engine.tasks.get(done.stdout.strip()).status == "pending"


def test_task_of_a_killed_process_is_run_by_another(tmp_path: Path) -> None:
    code = textwrap.dedent(AGENTS) + textwrap.dedent(
        f"""
        engine = sutazai.Engine({os.fspath(tmp_path / "tasks.db")!r}, agents=[endless], lease=1).open()
        task = engine.submit(endless.task())
        while task.info().status == "pending":
            time.sleep(0.01)
        print(task.id, flush=True)
        time.sleep(60)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    id = process.stdout.readline().strip()
    process.kill()
    process.wait()

    @sutazai.agent(name="endless")
    def quick() -> str:
        return "done by another"

    with sutazai.Engine(tmp_path / "tasks.db", agents=[quick], lease=1) as engine:
        task = engine.tasks.handle(id, str)
        assert task.result(30) == "done by another"
        assert task.info().attempt == 2


def test_terminated_process_ends_at_once() -> None:
    code = textwrap.dedent(AGENTS) + textwrap.dedent(
        """
        engine = sutazai.Engine(":memory:", agents=[endless]).open()
        engine.submit(endless.task())
        print("ready", flush=True)
        time.sleep(60)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM


def test_waits_release_the_interpreter_lock() -> None:
    @sutazai.agent
    async def nap() -> None:
        await sutazai.current_async().sleep(1)

    ticks, done = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.005)

    with sutazai.Engine(":memory:", agents=[nap]) as engine:
        task = engine.submit(nap.task())
        thread = threading.Thread(target=tick)
        thread.start()
        task.result(10)
        done.set()
        thread.join()
    assert ticks > 100
