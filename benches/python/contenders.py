"""The compared packages: how each is started, its store, and its number of tasks, so that slow ones end too."""

import dataclasses
import os
import pathlib
import sys

MOST = int(os.environ.get("TASKS", "20000"))
PEERS = pathlib.Path(__file__).parents[1] / "peers" / "python"
LEFT_OF_OURS = "SELECT count(*) FROM tasks WHERE status <> 'completed'"
LEFT_OF_PROCRASTINATE = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"


@dataclasses.dataclass
class Contender:
    name: str
    command: list
    store: str
    tasks: int
    # Query of unfinished tasks, where the store can be asked: none may be lost.
    left: str = ""
    is_ours: bool = False

    def __post_init__(self):
        self.tasks = min(self.tasks, MOST)


def _contender(name, program, mode, store, tasks, **more):
    command = [sys.executable, PEERS / f"with_{program}.py", *([mode] if mode else [])]
    return Contender(name, command, store, tasks, **more)


def _ours(name, mode, store):
    return _contender(name, "sutazai", mode, store, 20_000, left=LEFT_OF_OURS, is_ours=True)


CONTENDERS = [
    _ours("SutazAI, SQLite", "sync", "sqlite"),
    _ours("SutazAI, PostgreSQL", "sync", "postgres"),
    _ours("SutazAI, SQLite, coroutines", "async", "sqlite"),
    _ours("SutazAI, PostgreSQL, coroutines", "async", "postgres"),
    _contender("celery, Redis", "celery", None, "redis", 5_000),
    _contender("dramatiq, Redis", "dramatiq", None, "redis", 5_000),
    _contender("taskiq, Redis", "taskiq", None, "redis", 5_000),
    _contender("huey, Redis", "huey", "redis", "redis", 5_000),
    _contender("huey, SQLite", "huey", "synced", "sqlite", 2_000, left="SELECT count(*) FROM task"),
    _contender("huey, SQLite without syncs", "huey", "unsynced", "sqlite", 5_000, left="SELECT count(*) FROM task"),
    _contender("procrastinate, PostgreSQL", "procrastinate", None, "postgres", 2_000, left=LEFT_OF_PROCRASTINATE),
]
