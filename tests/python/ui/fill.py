"""Fills the SQLite database of a server with more than a test could submit: copies of a task, and a day of metrics.

From a shell: fill.py DATABASE tasks COUNT, or fill.py DATABASE metrics MINUTES.
"""

import contextlib
import math
import os
import sqlite3
import sys
import time

MINUTE_NS = 60 * 10**9


@contextlib.contextmanager
def opened(path):
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        yield connection


def task_id(milliseconds):
    """A UUID of version 7 for this time: tasks are listed by their ids, the newest first."""
    tail = bytearray(os.urandom(10))
    tail[0], tail[2] = 0x70 | tail[0] & 0x0F, 0x80 | tail[2] & 0x3F
    return milliseconds.to_bytes(6, "big") + bytes(tail)


def tasks(path, count):
    """Copies the newest completed task; the copies are older, one a second, and titled from `Filled 1` to the oldest."""
    with opened(path) as connection:
        newest = "SELECT * FROM tasks WHERE status = 'completed' ORDER BY id DESC LIMIT 1"
        cursor = connection.execute(newest)
        columns = [column[0] for column in cursor.description]
        original = dict(zip(columns, cursor.fetchone()))
        times = [name for name in columns if name.endswith("_at") and original[name] is not None]
        rows = []
        for number in range(1, count + 1):
            past = number * 10**9
            copy = original | {name: original[name] - past for name in times} | {"title": f"Filled {number}"}
            copy["id"] = task_id(copy["created_at"] // 10**6)
            # A tenth of them failed and has a second line.
            if number % 10 == 0:
                copy |= {"status": "failed", "result": None, "error": '{"kind":"unavailable","message":"filled"}'}
            rows.append([copy[name] for name in columns])
        places = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO tasks ({', '.join(columns)}) VALUES ({places})", rows)


def metrics(path, minutes):
    """Gives every known series a point a minute: waves between 0 and 100, until the first point that was measured."""
    with opened(path) as connection:
        series = connection.execute("SELECT series_id, min(at) FROM metric_samples GROUP BY series_id").fetchall()
        rows = (
            (of, first - minute * MINUTE_NS, 50 + 50 * math.sin(minute / 30 + of))
            for of, first in series
            for minute in range(1, minutes + 1)
        )
        connection.executemany("INSERT INTO metric_samples (series_id, at, value) VALUES (?, ?, ?)", rows)


def until_measured(path):
    """Waits until the server has stored the first points of its history."""
    for _ in range(600):
        with opened(path) as connection:
            if connection.execute("SELECT count(*) FROM metric_samples").fetchone()[0]:
                return
        time.sleep(0.1)
    raise TimeoutError("the server stores no history")


if __name__ == "__main__":
    _, database, what, number = sys.argv
    if what == "metrics":
        until_measured(database)
    {"tasks": tasks, "metrics": metrics}[what](database, int(number))
