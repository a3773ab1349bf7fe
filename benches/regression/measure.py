"""Measures the queue and the HTTP server of two builds in alternating rounds, and prints medians and ratios."""

import json
import os
import pathlib
import statistics
import sys
import tempfile
from datetime import datetime, timedelta, timezone

import servers
from stage import report
from stores import Stores
from workers import ask, drain, waits

PROGRAMS, EARLIER = pathlib.Path(sys.argv[1]), sys.argv[2]
BUILDS = (EARLIER, "now")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
TASKS = int(os.environ.get("TASKS", "20000"))
SINGLES = TASKS // 4
LATENCIES = 300
USERS = 20
TASKS_EACH = 20
LEFT = "SELECT count(*) FROM tasks WHERE status <> 'completed'"
TASK = {
    "agent": "hardware-optimizer", "payload": {"use_model": False}, "title": "One of many",
    "run_at": (datetime.now(timezone.utc) + timedelta(days=365)).isoformat(),
}
# Whether more is better.
QUEUE = {"drained /s": True, "submitted /s, by 1,000": True, "submitted /s, by 50 callers": True, "submit to start, p50 ms": False}
ROUTES = ("POST /tasks", "GET /tasks/{id}", "GET /tasks?limit=10", "/health")


class Build:
    """The queue of one build over one kind of store, as `stores` and `workers` need it."""

    def __init__(self, name, store):
        self.name, self.store, self.left = name, store, LEFT
        self.command = [PROGRAMS / name / "queue"]


def queue(stores, build):
    """Returns the figures of the queue, each over a new store."""
    with stores.new(build) as url:
        ask(build, "prepare", url)
        bulk = TASKS / float(ask(build, "fill", url, TASKS))
        left = (lambda: stores.left(build, url)) if build.store == "sqlite" else None
        drained, _ = drain(build, url, TASKS, 1, lambda: 0.0, left)
    with stores.new(build) as url:
        ask(build, "prepare", url)
        single = SINGLES / float(ask(build, "single", url, SINGLES))
    with stores.new(build) as url:
        ask(build, "prepare", url)
        p50, _ = waits(build, "latency", url, LATENCIES)
    return dict(zip(QUEUE, (drained, bulk, single, p50)))


def sign_in(server):
    """Registers users and returns their tokens."""
    names = [f"bench_{number}" for number in range(USERS)]
    bodies = [{"username": name, "email": f"{name}@example.org", "password": "correct horse battery"} for name in names]
    return [server.ask("/api/v1/auth/register", body)["access_token"] for body in bodies]


def http(stores, build):
    """Returns requests per second and processor microseconds of server and database per request, for each route."""
    postgres = stores.postgres if build.store == "postgres" else None
    found = {}
    with stores.new(build) as url, tempfile.TemporaryDirectory() as folder:
        with servers.ours(PROGRAMS / build.name / "sutazai", url, folder, 2) as server:
            tokens = sign_in(server)
            known = [(token, server.ask("/api/v1/tasks", TASK, token)["id"]) for _ in range(TASKS_EACH) for token in tokens]
            lines = {
                "POST /tasks": [f"{token} /api/v1/tasks {json.dumps(TASK)}" for token in tokens],
                "GET /tasks/{id}": [f"{token} /api/v1/tasks/{task}" for token, task in known],
                "GET /tasks?limit=10": [f"{token} /api/v1/tasks?limit=10" for token in tokens],
                "/health": [f"{tokens[0]} /health"],
            }
            server.wrk(lines["GET /tasks?limit=10"], 1)
            # Reads come first, since a post leaves tens of thousands of tasks.
            for route in reversed(ROUTES):
                rate, _, _, own, database, *_ = server.wrk(lines[route], SECONDS, postgres)
                found[f"{route}, requests/s"] = rate
                found[f"{route}, processor us"] = own + database
    return found


def main():
    results = {}
    with Stores() as stores:
        for number in range(ROUNDS):
            for store in ("postgres", "sqlite"):
                # The order changes from round to round, so that neither build always follows the other.
                for name in BUILDS if number % 2 else reversed(BUILDS):
                    build = Build(name, store)
                    for measure in (queue, http):
                        for figure, value in measure(stores, build).items():
                            results.setdefault((store, figure), {}).setdefault(name, []).append(value)
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    rows = []
    for (store, figure), found in results.items():
        earlier, now = (statistics.median(found[name]) for name in BUILDS)
        # Both builds of a round ran one after the other, so a slow minute of the machine is in both.
        ratios = [late / early for early, late in zip(found[EARLIER], found["now"])]
        more_is_better = QUEUE.get(figure, figure.endswith("requests/s"))
        ratio = statistics.median(ratios)
        rows.append([
            store, figure, report.figure(earlier), report.figure(now), f"{ratio:.3f}",
            f"{min(ratios):.3f} to {max(ratios):.3f}", "more" if more_is_better else "less",
        ])
    print(report.table(["", "", EARLIER, "now", "ratio, median of rounds", "ratios", "better"], rows))


main()
