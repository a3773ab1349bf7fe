"""Web servers with engines in them: uvicorn, its reload, and workers that gunicorn forks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

EXAMPLES = Path(__file__).parents[1] / "examples"
# Seconds within which servers start, reload and end on a busy machine.
LIMIT = 60

T = TypeVar("T")


def until(condition: Callable[[], T | None], log: Path) -> T:
    """Returns the first true value of a condition."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {LIMIT} s; the log of the server:\n{log.read_text('utf-8')}")


@contextmanager
def served(folder: Path, *command: str) -> Generator[httpx.Client, None, None]:
    """Runs a server on a free port until the end of the block, and then requests its end."""
    log = folder / "server.log"
    environment = {**os.environ, "PYTHONPATH": os.fspath(EXAMPLES), "APP_DATABASE": "app.db"}
    python = [sys.executable, "-W", "ignore::RuntimeWarning", "-m"]
    with log.open("w") as output:
        process = subprocess.Popen([*python, *command], cwd=folder, stdout=output, stderr=output, env=environment)
    try:
        pattern = re.compile(r"(?:running on|Listening at:) (http://127\.0\.0\.1:\d+)")
        found = until(lambda: pattern.search(log.read_text("utf-8")) or process.poll() is not None, log)
        assert isinstance(found, re.Match), log.read_text("utf-8")
        with httpx.Client(base_url=found[1], timeout=LIMIT) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        # uvicorn ends itself with the signal that it was sent.
        assert process.wait(LIMIT) in (0, -signal.SIGTERM), log.read_text("utf-8")
        assert not re.search("Traceback|ResourceWarning|panicked", log.read_text("utf-8")), log.read_text("utf-8")
    finally:
        process.kill()
        process.wait()


def crawl(client: httpx.Client) -> None:
    """Uses each route of the example."""
    begun = client.post("/crawls", json=["a", "b"])
    assert begun.status_code == 202, begun.text
    assert client.get(f"/crawls/{begun.json()['task']}").json() == {"pages": 2}
    assert client.get("/crawls/unknown").status_code == 404


def test_fastapi_example_runs_under_uvicorn(tmp_path: Path) -> None:
    with served(tmp_path, "uvicorn", "fastapi_app:app", "--port", "0") as client:
        crawl(client)


def test_fastapi_example_runs_in_workers_that_gunicorn_forked(tmp_path: Path) -> None:
    command = ["gunicorn", "--preload", "--workers", "4", "--worker-class", "uvicorn_worker.UvicornWorker"]
    with served(tmp_path, *command, "--bind", "127.0.0.1:0", "fastapi_app:app") as client:
        for _ in range(20):
            # A connection of its own: any worker may answer, and read a task that another has submitted.
            with httpx.Client(base_url=client.base_url, timeout=LIMIT) as another:
                crawl(another)


RELOADED = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import sutazai

@sutazai.agent
def version() -> str:
    return "one"

engine = sutazai.AsyncEngine("app.db", agents=[version])

@asynccontextmanager
async def lifespan(_):
    async with engine:
        yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def get() -> str:
    return await engine.run(version.task())
"""


def test_reload_of_uvicorn_replaces_the_agent(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(RELOADED, "utf-8")

    def version(client: httpx.Client) -> str:
        try:
            return str(client.get("/").json())
        except httpx.TransportError:
            # The process that is replaced closes its connections.
            return ""

    with served(tmp_path, "uvicorn", "app:app", "--port", "0", "--reload") as client:
        # The process that watches the files listens before the one that answers has started.
        until(lambda: version(client) == "one", tmp_path / "server.log")
        app.write_text(RELOADED.replace('"one"', '"two"'), "utf-8")
        until(lambda: version(client) == "two", tmp_path / "server.log")


OPENED_BEFORE_THE_FORK = """
import sutazai

@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y

engine = sutazai.Engine("app.db", agents=[add]).open()

def app(environ, start_response):
    try:
        text = str(engine.run(add.task(1, 2), timeout=10))
    except sutazai.ForkedError as e:
        text = str(e)
    start_response("200 OK", [("content-type", "text/plain")])
    return [text.encode()]
"""


def test_engine_that_was_opened_before_gunicorn_forks_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(OPENED_BEFORE_THE_FORK, "utf-8")
    with served(tmp_path, "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "app:app") as client:
        assert "open one in this process" in client.get("/").text
